"""What asks for a reconcile beside the object itself: owned objects, mapped ones; and functions without an event."""

from typing import ClassVar

import msgspec
import pytest
from lightkube.models.apps_v1 import Deployment
from lightkube.models.core_v1 import ConfigMap, Pod

from deltawire.common.clock import FakeClock
from deltawire.common.errors import PluginError
from deltawire.handlers.api import Handler, Requeue
from deltawire.handlers.conditions import condition
from deltawire.handlers.hooks import HookFailed
from deltawire.handlers.loader import describe
from deltawire.handlers.testing import Harness

WEBSITES = "websites.example.com"


class Website(msgspec.Struct):
    resource: ClassVar[str] = WEBSITES
    metadata: dict
    spec: dict


def site(name="shop", *, secret="", namespace="ns", version="1", **more):
    return {
        "apiVersion": "example.com/v1",
        "kind": "Website",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": version, **more},
        "spec": {"secretName": secret},
    }


def child(kind, name, *, owner="", version="1", api_version="v1", namespace="ns", **more):
    metadata = {"name": name, "namespace": namespace, "resourceVersion": version, **more}
    if owner:
        reference = {
            "apiVersion": "example.com/v1",
            "kind": "Website",
            "name": owner,
            "uid": "u",
            "controller": True,
        }
        metadata["ownerReferences"] = [reference]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


@pytest.fixture
def keys():
    return []


def test_a_change_of_an_owned_object_asks_for_its_owner(keys):
    handler = Handler("site")
    handler.reconcile(Website, owns=[Deployment, "services"])(keys.append)
    harness = Harness(handler)
    harness.apply(site(), resource=WEBSITES)
    harness.apply(child("Deployment", "a", owner="shop", api_version="apps/v1"))
    harness.apply(child("Service", "b", owner="shop"))
    harness.apply(child("Service", "of-nobody"))
    assert keys == ["ns/shop"] * 3


def test_an_owned_object_that_changes_hands_asks_for_both_owners(keys):
    handler = Handler("site")
    handler.reconcile(Website, owns=["services"])(keys.append)
    harness = Harness(handler)
    harness.apply(child("Service", "b", owner="one"))
    harness.apply(child("Service", "b", owner="two", version="2"))
    assert sorted(keys) == ["ns/one", "ns/one", "ns/two"]


def test_an_object_that_others_name_asks_for_those_by_their_index(keys):
    handler = Handler("site", indexes={Website: {"by-secret": ".spec.secretName"}})
    handler.reconcile(Website, maps={"secrets": "by-secret"})(keys.append)
    harness = Harness(handler)
    harness.apply(site("a", secret="tls"), resource=WEBSITES)
    harness.apply(site("b", secret="other"), resource=WEBSITES)
    harness.apply(site("c", secret="tls", namespace="elsewhere"), resource=WEBSITES)
    keys.clear()
    [handled] = harness.apply(child("Secret", "tls"))
    assert (keys, handled.verdict) == (["ns/a"], "done")


def test_a_mapping_function_gives_the_keys_of_the_object_as_it_is_and_as_it_was(keys):
    handler = Handler("site")
    handler.reconcile(WEBSITES, maps={ConfigMap: lambda obj: [f"ns/{obj['metadata']['labels']['site']}"]})(
        keys.append
    )
    assert handler.needs_old
    harness = Harness(handler)
    harness.apply(child("ConfigMap", "c", labels={"site": "one"}))
    keys.clear()
    harness.apply(child("ConfigMap", "c", labels={"site": "two"}, version="2"))
    assert sorted(keys) == ["ns/one", "ns/two"]


def test_a_mapped_event_is_done_when_the_reconciles_that_it_asked_for_are(keys):
    handler = Handler("site")

    @handler.reconcile(WEBSITES, maps={"configmaps": lambda obj: ["ns/one", "ns/two"]})
    def reconcile(key):
        keys.append(key)
        if key == "ns/two":
            raise ValueError("no")

    [handled] = Harness(handler).apply(child("ConfigMap", "c"))
    assert (sorted(keys), handled.verdict, handled.error) == (["ns/one", "ns/two"], "retry", "ValueError: no")


def test_a_mapping_function_that_gives_no_list_is_said():
    handler = Handler("site")
    handler.reconcile(WEBSITES, maps={"configmaps": lambda obj: "ns/one"})(lambda key: None)
    [handled] = Harness(handler).apply(child("ConfigMap", "c"))
    assert "returns a list of keys" in handled.error


def test_an_index_that_nobody_declared_is_named_when_the_file_is_loaded():
    with pytest.raises(PluginError, match="has no index 'by-secret'"):
        Handler("site").reconcile(WEBSITES, maps={"secrets": "by-secret"})


def test_what_is_watched_and_written_can_be_read():
    handler = Handler("site", writes=["configmaps"], reads=[Pod])
    handler.reconcile(Website, owns=[Deployment], writes=[Deployment, "services"])(lambda key: None)
    [described] = describe([handler])["handlers"]
    assert described["writes"] == ["configmaps", "deployments.apps", "services"]
    assert {entry["resource"]: entry["verbs"] for entry in described["on"]} == {
        WEBSITES: ["reconcile"],
        "deployments.apps": ["reconcile"],
        "pods": [],
    }


def test_the_delay_after_a_failure_is_the_handlers_own():
    handler = Handler("site", backoff_s=(0.5, 3.0))

    @handler.on_add("pods")
    def added(pod):
        raise ValueError

    harness = Harness(handler)
    delays = [harness.apply(child("Pod", f"p{n}"), attempt=n)[0].after_s for n in (1, 2, 3, 4, 2000)]
    assert delays == [0.5, 1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize("wrong", [(0, 1), (2, 1), (1,)])
def test_a_backoff_is_a_first_and_a_longest_delay(wrong):
    with pytest.raises(PluginError, match="backoff_s"):
        Handler("h", backoff_s=wrong)


# -- objects of a class


def test_functions_get_objects_of_the_class_that_they_name(keys):
    handler = Handler("h")
    handler.on_add(Pod)(lambda pod: keys.append((type(pod), pod.metadata.name)))
    handler.on_update(WEBSITES, model=Website)(lambda old, new: keys.append((old.spec, type(new))))
    handler.on_delete(Website)(lambda obj: keys.append(type(obj)))
    harness = Harness(handler)
    harness.apply(child("Pod", "p"))
    harness.apply(site(), resource=WEBSITES)
    harness.apply(site(secret="x", version="2"), resource=WEBSITES)
    harness.delete(site(), resource=WEBSITES)
    assert keys == [(Pod, "p"), ({"secretName": ""}, Website), Website]


def test_an_object_that_does_not_fit_is_a_dead_letter_that_names_the_field():
    handler = Handler("h")
    handler.on_add(Pod)(lambda pod: None)
    [handled] = Harness(handler).apply(
        {**child("Pod", "p"), "spec": {"containers": [{"name": "c", "image": 7}]}}
    )
    assert handled.verdict == "dead"
    said = "the object is no Pod: Expected `str | null`, got `int` - at `$.spec.containers[0].image` ("
    assert handled.error.startswith(said + __file__)


def test_a_class_of_no_resource_is_named():
    class Other(msgspec.Struct):
        pass

    with pytest.raises(PluginError, match="Other stands for no resource"):
        Handler("h").on_add(Other)


def test_bytes_and_a_class_contradict_each_other():
    with pytest.raises(PluginError, match="contradict"):
        Handler("h").on_add(Pod, raw=True)


# -- conditions, generations


def test_a_condition_keeps_its_time_while_its_status_stays():
    obj = site(generation=3)
    first = condition(obj, "Ready", False, "Starting", "", now_s=0.0)
    assert first == {
        "type": "Ready",
        "status": "False",
        "reason": "Starting",
        "message": "",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
        "observedGeneration": 3,
    }
    obj["status"] = {"conditions": [first]}
    assert (
        condition(obj, "Ready", False, "Still", "", now_s=60.0)["lastTransitionTime"]
        == "1970-01-01T00:00:00Z"
    )
    assert condition(obj, "Ready", True, "Up", "", now_s=60.0)["lastTransitionTime"] == "1970-01-01T00:01:00Z"
    assert condition(obj, "Ready", None, "Lost", "", now_s=60.0)["status"] == "Unknown"


@pytest.mark.parametrize(
    ("status", "observed"),
    [({}, False), ({"observedGeneration": 2}, False), ({"observedGeneration": 3}, True)],
)
def test_a_status_is_of_a_generation(keys, status, observed):
    handler = Handler("site")
    handler.reconcile(WEBSITES)(lambda key, ctx: keys.append((ctx.generation, ctx.is_observed)))
    Harness(handler).apply({**site(generation=3), "status": status}, resource=WEBSITES)
    assert keys == [(3, observed)]


# -- functions that no event calls


def test_hooks_are_called_at_the_start_at_the_end_and_each_time_a_timer_is_due(keys):
    handler = Handler("h", reads=["pods"])
    handler.on_startup()(lambda: keys.append("start"))
    handler.on_cleanup()(lambda ctx: keys.append(f"end of {ctx.handler}"))

    @handler.timer(every_s=60)
    async def count(ctx):
        keys.append(len(ctx.lister("pods").list()))

    handler.on_add("pods")(lambda pod: None)
    harness = Harness(handler)
    harness.startup()
    harness.tick()
    harness.apply(child("Pod", "p"))
    harness.tick()
    harness.cleanup()
    harness.close()
    assert keys == ["start", 0, 1, "end of h"]


def test_a_start_that_fails_is_said_with_its_place():
    handler = Handler("h")

    @handler.on_startup()
    def start():
        raise OSError("no disk")

    with pytest.raises(HookFailed, match=r"test_reconcile.py:\d+: on_startup raised OSError: no disk"):
        Harness(handler).startup()


def test_a_timer_that_fails_is_logged_and_the_others_are_called(keys, caplog):
    handler = Handler("h")

    @handler.timer(every_s=1)
    def broken():
        raise ValueError("broken")

    handler.timer(every_s=1)(lambda: keys.append("well"))
    Harness(handler).tick()
    assert keys == ["well"]
    assert "timer failed" in caplog.text


def test_timers_are_called_at_their_times_until_the_end():
    clock = FakeClock()
    handler = Handler("h")
    times = []

    @handler.timer(every_s=10)
    def tick():
        times.append(clock.now_s())
        if len(times) == 3:
            hooks._stop.set()

    hooks = Harness(handler, clock=clock)._hooks
    began_s = clock.now_s()
    hooks._turn()
    assert [at_s - began_s for at_s in times] == [0, 10, 20]


def test_a_timer_is_called_in_replica_0_alone_unless_it_says_otherwise(keys):
    handler = Handler("h")
    handler.timer(every_s=1)(lambda: keys.append("one"))
    handler.timer(every_s=1, each_replica=True)(lambda: keys.append("each"))
    program = Harness(handler)._program
    program.hooks("test", 1).tick()
    assert keys == ["each"]


@pytest.mark.parametrize("wrong", [lambda a, b: None, lambda *, a: None, 7])
def test_a_hook_that_cannot_be_called_is_refused(wrong):
    with pytest.raises(PluginError, match="on_startup"):
        Handler("h").on_startup()(wrong)


def test_a_reconcile_asks_to_be_called_again():
    handler = Handler("h")
    handler.reconcile("pods")(lambda key: Requeue(5))
    [handled] = Harness(handler).apply(child("Pod", "p"))
    assert (handled.verdict, handled.after_s) == ("requeue", 5)
