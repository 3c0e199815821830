import uuid
from dataclasses import replace

import pytest

from deltawire.client.tools.events.correlator import (
    COMBINED,
    KEYS_MAX,
    MESSAGES_MAX,
    SIMILAR_WITHIN_S,
    SPAM_BURST,
    SPAM_REFILL_S,
    EventCorrelator,
)
from deltawire.client.tools.events.event import Event, Reference, Source, event_name, reference_of
from deltawire.common.errors import ConfigError

POD = Reference("v1", "Pod", "web-0", "default", "u1", "7")
FIRST = Event(POD, Source("ctl", "node-1"), "Normal", "Pulled", "pulled it", 100.0, 100.0, "web-0.1")


def at(seconds: float, event: Event = FIRST, **changes: object) -> Event:
    return replace(event, first_at_s=seconds, last_at_s=seconds, name=f"web-0.{seconds}", **changes)  # type: ignore[arg-type]  # fields by name


def test_an_event_that_comes_again_is_counted_under_its_first_name():
    correlator = EventCorrelator()
    first = correlator.correlate(at(100))
    assert first is not None
    correlator.written(first, "stored-name", "55")
    second = correlator.correlate(at(130))
    assert second is not None
    assert (second.event.count, second.event.name, second.event.resource_version) == (2, "stored-name", "55")
    assert (second.event.first_at_s, second.event.last_at_s) == (100, 130)
    third = correlator.correlate(at(140, reference=replace(POD, resource_version="8")))
    assert third is not None
    assert third.event.count == 3  # another version of the object is the same object


@pytest.mark.parametrize(
    "other",
    [
        {"message": "other"},
        {"reason": "Other"},
        {"type": "Warning"},
        {"source": Source("ctl", "node-2")},
        {"reference": replace(POD, uid="u2")},
        {"reference": replace(POD, field_path="spec.containers{a}")},
    ],
)
def test_what_differs_is_an_event_of_its_own(other: dict[str, object]):
    correlator = EventCorrelator()
    correlator.correlate(at(100))
    found = correlator.correlate(at(101, **other))
    assert found is not None
    assert found.event.count == 1


def test_the_tenth_different_message_is_combined_and_then_counted():
    correlator = EventCorrelator()
    messages = [
        found.event
        for i in range(MESSAGES_MAX + 2)
        if (found := correlator.correlate(at(100 + i, message=f"m{i}")))
    ]
    assert [e.message for e in messages[: MESSAGES_MAX - 1]] == [f"m{i}" for i in range(MESSAGES_MAX - 1)]
    assert [(e.message, e.count) for e in messages[MESSAGES_MAX - 1 :]] == [
        (f"{COMBINED}m9", 1),
        (f"{COMBINED}m10", 2),
        (f"{COMBINED}m11", 3),
    ]
    assert len({e.name for e in messages[MESSAGES_MAX - 1 :]}) == 1


def test_different_messages_long_apart_are_not_combined():
    correlator = EventCorrelator()
    for i in range(MESSAGES_MAX - 1):
        correlator.correlate(at(100, message=f"m{i}"))
    found = correlator.correlate(at(101 + SIMILAR_WITHIN_S, message="late"))
    assert found is not None
    assert found.event.message == "late"


def test_a_flood_about_one_object_is_held_back_and_trickles_on():
    correlator = EventCorrelator()
    made = [correlator.correlate(at(100, reason=f"r{i}")) for i in range(SPAM_BURST + 5)]
    assert sum(found is not None for found in made) == SPAM_BURST
    assert correlator.filtered == 5
    assert correlator.correlate(at(100 + SPAM_REFILL_S - 1, reason="soon")) is None
    assert correlator.correlate(at(100 + SPAM_REFILL_S + 1, reason="later")) is not None
    assert correlator.correlate(at(100 + SPAM_REFILL_S + 2, reason="again")) is None


def test_a_flood_about_one_object_leaves_others_alone():
    correlator = EventCorrelator()
    for _ in range(SPAM_BURST + 1):
        correlator.correlate(at(100))
    assert correlator.correlate(at(100, reference=replace(POD, name="web-1", uid="u2"))) is not None
    assert correlator.correlate(at(100, type="Warning")) is not None


def test_memory_is_bounded_and_the_least_used_is_forgotten():
    correlator = EventCorrelator()
    for i in range(KEYS_MAX + 1):
        correlator.correlate(at(100, reference=replace(POD, uid=f"u{i}", name=f"p{i}")))
    assert len(correlator._seen._values) == KEYS_MAX
    forgotten = correlator.correlate(at(101, reference=replace(POD, uid="u0", name="p0")))
    kept = correlator.correlate(at(101, reference=replace(POD, uid=f"u{KEYS_MAX}", name=f"p{KEYS_MAX}")))
    assert forgotten is not None
    assert kept is not None
    assert (forgotten.event.count, kept.event.count) == (1, 2)


def test_an_event_is_written_as_the_api_wants_it():
    body = replace(FIRST, annotations={"a": "b"}).body()
    assert body["metadata"] == {"name": "web-0.1", "namespace": "default", "annotations": {"a": "b"}}
    assert body["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "default",
        "name": "web-0",
        "uid": "u1",
        "resourceVersion": "7",
    }
    assert body["firstTimestamp"] == "1970-01-01T00:01:40Z"
    assert body["source"] == {"component": "ctl", "host": "node-1"}
    assert replace(FIRST, reference=Reference("v1", "Node", "n")).namespace == "default"


class TypedMeta:
    name, namespace, uid, resourceVersion = "web", "ns", "u", "5"  # noqa: N815 - the API's names


class Typed:
    apiVersion, kind, metadata = "apps/v1", "Deployment", TypedMeta()  # noqa: N815 - the API's names


def test_raw_and_typed_objects_can_be_referred_to():
    raw = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "ns", "uid": "u", "resourceVersion": "5"},
    }
    expected = Reference("apps/v1", "Deployment", "web", "ns", "u", "5")
    assert reference_of(raw) == reference_of(Typed()) == reference_of(expected) == expected


@pytest.mark.parametrize(
    "obj", [{}, {"kind": "Pod", "apiVersion": "v1"}, {"metadata": {"name": "a"}}, None, 7]
)
def test_what_does_not_say_what_it_is_cannot_have_events(obj: object):
    with pytest.raises(ConfigError):
        reference_of(obj)


@pytest.mark.parametrize("name", ["web-0", "web", "10.0.0.1", "a" * 249])
def test_an_event_is_named_after_its_object_and_the_moment(name: str):
    assert event_name(name, 255) == f"{name}.ff"


@pytest.mark.parametrize(
    "name", ["system:node:x", "Web", "a_b", "web-", ".web", "a..b", "a/b", "é", "a" * 251, ""]
)
def test_an_event_whose_name_a_server_would_refuse_gets_a_uuid(name: str):
    assert event_name(name, 255, lambda: uuid.UUID(int=7)) == "00000000-0000-0000-0000-000000000007"
    assert event_name(name, 255) != event_name(name, 255)
