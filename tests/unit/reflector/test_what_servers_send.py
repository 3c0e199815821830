"""What client-go takes is taken; what cannot be is counted, named with its key, and alone (guarantees.md, P5)."""

import copy
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltawire.client.rest.frames import EVENT_BYTES_MAX
from deltawire.common.errors import StatusError
from deltawire.reflector.split import Counters, ObjectReader, WatchSplitter, split_list

DEEP = 5_000


def obj(name="web", version="5", **more):
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": version}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, **more}


def encoded(value, **spelling):
    return json.dumps(value, **spelling).encode("utf-8", "surrogatepass")


def event(body, kind="ADDED", **spelling):
    return encoded({"type": kind, "object": body}, **(spelling or {"separators": (",", ":")}))


def list_of(*objects, **more):
    return encoded({"kind": "PodList", "metadata": {"resourceVersion": "20"}, "items": objects, **more})


@pytest.fixture
def reader():
    return ObjectReader("Pod", "v1", Counters())


def watched(reader, *chunks, initial=False):
    splitter = WatchSplitter(reader, initial=initial)
    return [batch for chunk in chunks for batch in splitter.feed(chunk)]


def names(batches):
    return [delta[2] for batch in batches for delta in batch.deltas]


def deep(name):
    """An object with a field that is nested deeper than can be read, which servers accept."""
    body = encoded(obj(name, spec="HERE"))
    return body.replace(b'"HERE"', b"[" * DEEP + b"]" * DEEP)


class TestFraming:
    def test_events_are_taken_however_they_are_separated(self, reader):
        first, second, third = event(obj("a")), event(obj("b")), event(obj("c"))
        pretty = event(obj("d"), indent=2).replace(b"\n", b"\r\n")
        stream = first + second + b"\r\n\n \t\n" + third + b"  \n" + pretty + b" \n" + event(obj("e")) + b"\n"
        assert names(watched(reader, stream)) == ["a", "b", "c", "d", "e"]

    def test_an_event_does_not_wait_for_the_next_ones_bytes(self, reader):
        assert names(watched(reader, event(obj("a")) + event(obj("b")))) == ["a", "b"]

    def test_a_byte_order_mark_is_no_garbage(self, reader):
        stream = b"\xef\xbb\xbf" + event(obj("a")) + b"\n"
        assert names(watched(reader, stream)) == ["a"]
        assert names(watched(reader, *[stream[i : i + 1] for i in range(len(stream))])) == ["a"]
        [page] = split_list(b"\xef\xbb\xbf" + list_of(obj("a")), reader)
        assert [delta[2] for delta in page.deltas] == ["a"]

    @pytest.mark.parametrize("text", [rb"\ud800", rb"\uDFFF", rb"\ud83d\u0041", rb"\\\udc00", b"\xff\xfe"])
    def test_what_is_no_character_is_replaced_as_in_go(self, reader, text):
        body = encoded(obj("a", note="HERE")).replace(b"HERE", text)
        frame = b'{"type":"ADDED","object":' + body + b"}\n"
        [batch] = watched(reader, frame)
        [page] = split_list(b'{"kind":"PodList","items":[' + body + b"]}", reader)
        for delta in (*batch.deltas, *page.deltas):
            assert "\ufffd" in json.loads(delta[5].decode())["note"]
        assert (len(batch.deltas), len(page.deltas), reader.counters.refused) == (1, 1, 0)

    @pytest.mark.parametrize("text", [rb"\ud83d\ude00", rb"\\ud800", "é€😀".encode()])
    def test_characters_stay_as_they_were_sent(self, reader, text):
        body = encoded(obj("a", note="HERE")).replace(b"HERE", text)
        [batch] = watched(reader, b'{"type":"ADDED","object":' + body + b"}\n" + event(obj("b")) + b"\n")
        assert batch.deltas[0][5] == body

    def test_a_status_in_place_of_the_events_is_an_error_event(self, reader):
        status = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "old"}
        [batch] = watched(reader, event(obj("a")) + b"\n" + encoded(status) + b"\n")
        assert names([batch]) == ["a"]
        assert isinstance(batch.error, StatusError)
        assert batch.error.is_expired


class TestNoVersion:
    def test_an_object_without_a_version_takes_no_neighbour_with_it(self, reader):
        bare = obj("norv")
        del bare["metadata"]["resourceVersion"]
        [batch] = watched(reader, event(obj("b", "11")) + b"\n" + event(bare) + b"\n")
        assert [(delta[2], delta[4]) for delta in batch.deltas] == [("b", "11"), ("norv", "")]
        assert batch.version == "11"

    def test_the_marker_of_a_streaming_list_needs_no_version(self, reader):
        mark = {"metadata": {"annotations": {"k8s.io/initial-events-end": "true"}}}
        [batch] = watched(reader, event(obj("a")) + event(mark, "BOOKMARK"), initial=True)
        assert (batch.is_marker, batch.version, names([batch])) == (True, "", ["a"])


class TestNull:
    @pytest.mark.parametrize("field", ["namespace", "uid", "resourceVersion", "labels", "ownerReferences"])
    def test_null_in_an_object_is_the_same_as_not_there(self, reader, field):
        null, absent = obj(), obj()
        null["metadata"][field] = None
        absent["metadata"].pop(field, None)
        [[one], [other]] = [batch.deltas for body in (null, absent) for batch in watched(reader, event(body))]
        assert one[:5] == other[:5]
        assert reader.counters.unsupported == 0

    def test_null_in_a_list_is_the_same_as_not_there(self, reader):
        meta = {"resourceVersion": None, "continue": None, "remainingItemCount": None}
        for body in (list_of(metadata=meta, items=None), list_of(metadata=None), list_of(kind=None)):
            assert [page.is_last for page in split_list(body, reader)] == [True]

    def test_null_in_a_bookmark_is_the_same_as_not_there(self, reader):
        meta = {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": None}, "name": None}
        [batch] = watched(reader, event({"metadata": meta}, "BOOKMARK"), initial=True)
        assert (batch.version, batch.is_marker) == ("9", False)
        assert watched(reader, event({"metadata": {"resourceVersion": None}}, "BOOKMARK")) == []
        assert watched(reader, event({"metadata": None}, "BOOKMARK")) == []


class TestLists:
    @pytest.mark.parametrize("kind", ["ConfigMapCollection", "Pods", "", None])
    def test_what_has_items_is_a_list_whatever_it_is_called(self, reader, kind):
        [page] = split_list(list_of(obj("a"), kind=kind), reader)
        assert [delta[2] for delta in page.deltas] == ["a"]

    def test_a_list_without_a_version_is_a_list(self, reader):
        [page] = split_list(encoded({"kind": "PodList", "metadata": {}, "items": [obj("a")]}), reader)
        assert (page.version, len(page.deltas)) == ("", 1)


class TestRefused:
    def test_an_object_that_is_nested_too_deep_is_named_and_alone(self, reader):
        frame = b'{"type":"ADDED","object":' + deep("down") + b"}\n"
        assert names(watched(reader, event(obj("a")) + b"\n" + frame + event(obj("b")) + b"\n")) == ["a", "b"]
        assert reader.counters.refused == 1
        assert reader.counters.refusal == "object refused: default/down: nested too deep"

    @pytest.mark.parametrize("end", [b"\n", b""])
    def test_an_event_beyond_the_bound_is_named_and_alone(self, reader, end):
        stream = event(obj("huge", data="x{" * EVENT_BYTES_MAX)) + end + event(obj("b")) + b"\n"
        chunks = [stream[i : i + 65536] for i in range(0, len(stream), 65536)]
        assert names(watched(reader, event(obj("a")) + b"\n", *chunks)) == ["a", "b"]
        assert reader.counters.refusal.startswith("object refused: default/huge: an event of more than")

    @pytest.mark.parametrize("body", [{"metadata": {"namespace": "d", "name": 7}}, {"kind": "Odd"}, 5, []])
    def test_what_is_no_object_is_counted_and_shown(self, reader, body):
        assert names(watched(reader, event(obj("a")) + event(body) + event(obj("b")))) == ["a", "b"]
        assert reader.counters.unsupported == 1
        assert reader.counters.refusal.startswith("skipped: ")


def test_an_item_that_is_nested_too_deep_is_named_and_alone(reader):
    body = list_of(obj("a"), "HERE", obj("b")).replace(b'"HERE"', deep("down"))
    [page] = split_list(body, reader)
    assert [delta[2] for delta in page.deltas] == ["a", "b"]
    assert page.version == "20"
    assert reader.counters.refusal == "object refused: default/down: nested too deep"


# -- whatever a server writes, against json.loads

texts = st.text(st.characters(exclude_categories=[]), max_size=8)
absent = st.just("absent")
fields = st.fixed_dictionaries(
    {"name": texts.filter(bool)},
    optional={
        "namespace": st.none() | texts,
        "uid": st.none() | texts,
        "resourceVersion": st.none() | st.sampled_from(["", "7", "12", "x9"]),
        "labels": st.none() | st.dictionaries(texts, st.none() | texts, max_size=2),
        "ownerReferences": st.none() | st.just([]),
        "creationTimestamp": st.none(),
    },
)
objects = st.builds(
    lambda metadata, more, order: dict(sorted({"metadata": metadata, **more}.items(), key=order)),
    fields,
    st.fixed_dictionaries(
        {},
        optional={
            "kind": st.none() | st.sampled_from(["Pod", "Odd"]),
            "apiVersion": st.none() | st.sampled_from(["v1", ""]),
            "data": st.recursive(st.none() | texts | st.integers(), lambda one: st.lists(one, max_size=3)),
        },
    ),
    st.sampled_from([lambda pair: pair[0], lambda pair: pair[0][::-1], lambda pair: -len(pair[0])]),
)
kinds = st.sampled_from(["ADDED", "MODIFIED", "DELETED"])
spellings = st.sampled_from(
    [{"separators": (",", ":")}, {}, {"indent": 1}, {"indent": 0}, {"separators": (", \t", " :\r\n ")}]
)
separators = st.sampled_from([b"\n", b"", b"\r\n", b"\n\n", b" ", b" \n\t\r\n"])


def told(kind, text):
    """What the delta of an object should say, by json.loads and Go's rule for halves of surrogate pairs."""
    loaded = json.loads(text)
    meta = loaded["metadata"]
    whole = [replaced(meta.get(name) or "") for name in ("namespace", "name", "uid", "resourceVersion")]
    return ({"ADDED": "A", "MODIFIED": "U", "DELETED": "D"}[kind], *whole, replaced(loaded))


def replaced(value):
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {replaced(key): replaced(item) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item) for item in value]
    return value


def typed(body):
    body = copy.deepcopy(body)
    if not body.get("kind") or not body.get("apiVersion"):
        body["kind"], body["apiVersion"] = "Pod", "v1"
    return body


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(kinds, objects, spellings, separators, st.booleans()), max_size=5),
    st.lists(st.integers(0, 4000), max_size=6),
)
def test_however_a_server_writes_its_events_they_are_what_json_says(events, cuts):
    stream, expected = b"", []
    for kind, body, spelling, separator, is_object_first in events:
        frame = {"object": body, "type": kind} if is_object_first else {"type": kind, "object": body}
        stream += encoded(frame, **spelling) + separator
        expected.append(told(kind, json.dumps(body)))
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = ObjectReader("Pod", "v1", Counters())
    batches = watched(reader, *[stream[a:b] for a, b in itertools.pairwise(edges)])
    assert [batch.error for batch in batches if batch.error] == []
    found = [(*delta[:5], json.loads(delta[5])) for batch in batches for delta in batch.deltas]
    assert found == [(*one[:5], typed(one[5])) for one in expected]
    assert (reader.counters.refused, reader.counters.unsupported) == (0, 0)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.fixed_dictionaries(
        {"items": st.none() | st.lists(objects, max_size=4)},
        optional={
            "kind": st.none() | st.sampled_from(["PodList", "Pods", ""]),
            "metadata": st.none()
            | st.fixed_dictionaries(
                {},
                optional={
                    "resourceVersion": st.none() | st.sampled_from(["", "9"]),
                    "continue": st.none() | st.sampled_from(["", "t"]),
                    "remainingItemCount": st.none() | st.integers(0, 5),
                },
            ),
        },
    ),
    spellings,
    st.booleans(),
)
def test_however_a_server_writes_its_list_it_is_what_json_says(body, spelling, is_reversed):
    if is_reversed:
        body = dict(reversed(body.items()))
    text = encoded(body, **spelling)
    pages = list(split_list(text, ObjectReader("Pod", "v1", Counters())))
    meta = body.get("metadata") or {}
    assert {(page.version, page.continue_token) for page in pages} == {
        (meta.get("resourceVersion") or "", meta.get("continue") or "")
    }
    found = [(*delta[1:5], json.loads(delta[5])) for page in pages for delta in page.deltas]
    expected = [told("ADDED", json.dumps(item)) for item in body["items"] or []]
    assert found == [(*one[1:5], typed(one[5])) for one in expected]
