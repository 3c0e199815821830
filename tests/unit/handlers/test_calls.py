"""What a plug-in's function is called with, and what its end means."""

import asyncio
import threading

import msgspec
import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.errors import PluginError, StateError
from deltawire.handlers.api import Context, Dead, Handler, Requeue, Retry
from deltawire.handlers.signatures import check
from deltawire.handlers.testing import Harness


def pod(name="web", *, uid="u1", version="1", node=None, owner=None, namespace="ns"):
    metadata = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": version}
    if owner:
        metadata["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "Other", "name": "other"},
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "controller": True},
        ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": node} if node else {},
    }


@pytest.fixture
def calls():
    return []


def recording(calls, **options):
    handler = Handler("h", **options)

    @handler.on_add("pods")
    def added(obj, event):
        calls.append(("add", obj, event))

    @handler.on_update("pods")
    def updated(old, new, event):
        calls.append(("update", old, new, event))

    @handler.on_delete("pods")
    def deleted(obj, event):
        calls.append(("delete", obj, event))

    return handler


def test_each_kind_of_change_has_its_function(calls):
    harness = Harness(recording(calls), cluster="dev", clock=FakeClock())
    one, two = pod(version="1"), pod(version="2", node="n1")
    for handled in (harness.apply(one), harness.apply(two), harness.resync(), harness.delete(two)):
        assert [h.verdict for h in handled] == ["done"]
    assert [call[:-1] for call in calls] == [
        ("add", one),
        ("update", one, two),
        ("update", two, two),
        ("delete", two),
    ]
    event = calls[1][-1]
    assert (event.key, event.namespace, event.name, event.kind) == ("ns/web", "ns", "web", "updated")
    assert (event.informer, event.cluster, event.resource) == ("dev/pods", "dev", "pods")
    assert (event.uid, event.resource_version, event.attempt, event.old_known) == ("u1", "2", 1, True)
    assert [call[-1].resync for call in calls] == [False, False, True, False]


def test_another_uid_is_a_deletion_and_an_add(calls):
    harness = Harness(recording(calls))
    harness.apply(pod(uid="u1"))
    harness.apply(pod(uid="u2"))
    assert [call[0] for call in calls] == ["add", "delete", "add"]
    assert [call[-1].uid for call in calls] == ["u1", "u1", "u2"]


def test_event_and_ctx_may_be_left_out(calls):
    handler = Handler("h")
    handler.on_add("pods")(lambda obj: calls.append(obj["metadata"]["name"]))
    handler.reconcile("pods")(lambda key: calls.append(f"key {key}"))
    Harness(handler).apply(pod())
    assert calls == ["web", "key ns/web"]


def test_raw_functions_get_the_bytes(calls):
    handler = Handler("h")
    handler.on_update("pods", raw=True)(lambda old, new: calls.append((old, new)))
    harness = Harness(handler)
    harness.apply(pod(version="1"))
    harness.apply(pod(version="2"))
    assert calls == [(msgspec.json.encode(pod(version="1")), msgspec.json.encode(pod(version="2")))]


def test_what_one_function_changes_the_next_does_not_see(calls):
    handler = Handler("h")
    handler.on_add("pods")(lambda obj: obj.clear())
    handler.on_add("pods")(lambda obj: calls.append(obj["kind"]))
    assert Harness(handler).apply(pod())[0].verdict == "done"
    assert calls == ["Pod"]


def test_async_functions_run_in_one_loop(calls):
    handler = Handler("h")

    @handler.on_add("pods")
    async def added(obj):
        await asyncio.sleep(0)
        calls.append((threading.current_thread().name, asyncio.get_running_loop()))

    harness = Harness(handler)
    harness.apply(pod("a"))
    harness.apply(pod("b"))
    harness.close()
    assert [name for name, _ in calls] == ["async", "async"]
    assert calls[0][1] is calls[1][1]


@pytest.mark.parametrize(
    "end, handled",
    [
        (lambda: None, ("done", 0, "")),
        (lambda: Requeue(after_s=1.5), ("requeue", 1.5, "")),
        (lambda: raises(Retry("later", after_s=2)), ("retry", 2, "later")),
        (lambda: raises(Retry()), ("retry", 0.02, "Retry")),
        (lambda: raises(Dead("no use")), ("dead", 0, "no use")),
        (lambda: raises(ValueError("bad")), ("retry", 0.02, "ValueError: bad")),
        (lambda: raises(SystemExit(1)), ("retry", 0.02, "SystemExit: 1")),
        (
            lambda: "x",
            ("retry", 0.02, "TypeError: the function returned str; expected None or Requeue(after_s)"),
        ),
    ],
)
def test_how_a_function_ends_decides_about_its_event(end, handled):
    handler = Handler("h")
    handler.reconcile("pods")(lambda key: end())
    [got] = Harness(handler).apply(pod(), attempt=3)
    assert (got.verdict, got.after_s) == handled[:2]
    assert got.error.startswith(handled[2])
    assert bool(got.error) is bool(handled[2])


def raises(error):
    raise error


def test_a_failing_first_function_keeps_the_second_from_running(calls):
    handler = Handler("h")
    handler.on_add("pods")(lambda obj: raises(ValueError("bad")))
    handler.on_add("pods")(calls.append)
    assert Harness(handler).apply(pod())[0].verdict == "retry"
    assert calls == []


def test_a_deletion_without_content_still_has_its_metadata(calls):
    handler = recording(calls)
    harness = Harness(handler)
    harness._stored["pods"] = {}
    stored = harness._as_stored(pod())._replace(object=None)
    harness._deliver("pods", "D", stored, None, 1)
    assert calls[0][1] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "ns", "uid": "u1", "resourceVersion": "1"},
    }


def test_a_change_of_owner_reconciles_both(calls):
    handler = Handler("h")
    handler.reconcile("pods", owner="rs")(lambda key, ctx: calls.append((key, ctx.event.key)))
    harness = Harness(handler)
    harness.apply(pod(owner="old"))
    harness.apply(pod(owner="new", version="2"))
    harness.apply(pod("orphan"))
    assert calls == [("ns/old", "ns/web"), ("ns/new", "ns/web"), ("ns/old", "ns/web")]


def test_an_owner_of_another_kind_is_passed_over(calls):
    handler = Handler("h")
    handler.reconcile("pods", owner="widgets.example.com")(calls.append)
    harness = Harness(handler)
    harness.apply(pod(owner="web"))
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w", "controller": True}
    mine = pod("mine")
    mine["metadata"]["ownerReferences"] = [widget]
    harness.apply(mine)
    assert calls == ["ns/w"]


def test_one_function_on_object_and_owned_objects_has_one_queue():
    handler = Handler("h")

    @handler.reconcile("rs")
    @handler.reconcile("pods", owner="rs")
    def reconcile(key): ...

    harness = Harness(handler)
    numbers = {r.number for route in harness._program.routes.values() for r in route.reconciles}
    targets = {r.target for route in harness._program.routes.values() for r in route.reconciles}
    assert (numbers, targets) == ({0}, {"test/replicasets.apps"})


def test_reconciles_read_the_cache_they_were_called_for(calls):
    handler = Handler("h", indexes={"pods": {"by-node": ".spec.nodeName"}})

    @handler.reconcile("pods")
    def reconcile(key, ctx):
        cached = ctx.lister().get_key(key)
        calls.append((cached["spec"], [o.name for o in ctx.lister().by_index("by-node", "n1")]))
        assert ctx.lister("nodes").list() == []

    harness = Harness(handler)
    harness.apply(pod("a", node="n1"))
    assert harness.apply(pod("b", node="n1"))[0].verdict == "done"
    assert calls == [({"nodeName": "n1"}, ["a"]), ({"nodeName": "n1"}, ["a", "b"])]


def test_a_missing_client_is_said():
    handler = Handler("h")
    handler.reconcile("pods")(lambda key, ctx: ctx.client)
    [handled] = Harness(handler).apply(pod())
    assert handled.error.startswith(StateError.__name__)


def test_an_update_may_come_without_the_old_object(calls):
    handler = Handler("h")
    handler.on_update("pods", old=False)(calls.append)
    handler.on_update("pods", old=False, raw=True)(lambda new, event: calls.append((new, event.kind)))
    harness = Harness(handler)
    one, two = pod(version="1"), pod(version="2", node="n1")
    harness.apply(one)
    assert calls == []
    harness.apply(two)
    assert calls == [two, (msgspec.json.encode(two), "updated")]
    harness.resync()
    assert calls[2:] == [two, (msgspec.json.encode(two), "resync")]


def test_old_objects_are_asked_for_where_a_function_needs_them():
    handler = Handler("h")
    handler.on_add("pods")(lambda obj: None)
    handler.on_update("pods", old=False)(lambda new: None)
    handler.reconcile("pods")(lambda key: None)
    assert not handler.needs_old
    former_owner = Handler("h")
    former_owner.reconcile("pods", owner="replicasets.apps")(lambda key: None)
    assert former_owner.needs_old
    handler.on_update("nodes")(lambda old, new: None)
    assert handler.needs_old


def test_a_cluster_scoped_object_has_the_bare_name_as_key(calls):
    handler = Handler("h")
    handler.on_add("nodes")(lambda obj, event: calls.append((event.key, event.namespace)))
    handler.reconcile("nodes")(calls.append)
    Harness(handler).apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    assert calls == [("n1", ""), "n1"]


@pytest.mark.parametrize(
    "function, verb, extras",
    [
        (lambda obj: ..., "on_add", ()),
        (lambda obj, event: ..., "on_add", ("event",)),
        (lambda obj, anything: ..., "on_add", ("event",)),
        (lambda obj, event=None: ..., "on_add", ("event",)),
        (lambda obj, mine=7: ..., "on_add", ()),
        (lambda obj, ctx: ..., "on_add", ("ctx",)),
        (lambda obj, event, ctx: ..., "on_add", ("event", "ctx")),
        (lambda obj, ctx, event: ..., "on_add", ("ctx", "event")),
        (lambda obj, anything, ctx: ..., "on_add", ("event", "ctx")),
        (lambda obj, mine=7, ctx=None: ..., "on_add", ("ctx",)),
        (lambda obj, *, ctx: ..., "on_add", ("ctx",)),
        (lambda *arguments: ..., "on_update", ("event",)),
        (lambda old, new, *more: ..., "on_update", ("event",)),
        (lambda old, new, **options: ..., "on_update", ()),
        (lambda key, anything: ..., "reconcile", ("ctx",)),
        (print, "on_add", ("event",)),
    ],
)
def test_signatures_that_can_be_called(function, verb, extras):
    found = check(function, verb)
    assert found.extras + found.named == extras
    assert (found.takes_event, found.takes_ctx) == ("event" in extras, "ctx" in extras)


def test_a_parameter_annotated_as_context_gets_it_whatever_its_name():
    def added(obj, c: Context): ...

    assert check(added, "on_add").extras == ("ctx",)


def test_without_old_an_update_function_takes_the_new_object_alone(calls):
    assert check(lambda new, event: ..., "on_update", old=False).takes_event
    assert not check(lambda new: ..., "on_update", old=False).takes_event
    with pytest.raises(PluginError, match=r"expected <lambda>\(new\) or <lambda>\(new, event, ctx\)"):
        Handler("h").on_update("pods", old=False)(lambda old, new, event: ...)
    with pytest.raises(PluginError, match="old=False"):
        Handler("h").on_update("pods")(lambda new: ...)


@pytest.mark.parametrize(
    "function, verb",
    [
        (lambda: ..., "on_add"),
        (lambda a, b, c: ..., "on_add"),
        (lambda new: ..., "on_update"),
        (lambda key, *, mine: ..., "reconcile"),
    ],
)
def test_signatures_that_cannot_be_called(function, verb):
    with pytest.raises(PluginError, match="expected"):
        check(function, verb)
