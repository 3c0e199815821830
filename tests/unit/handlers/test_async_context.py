"""What an async function reads, writes and says by its context, against an API server in this process."""

import logging
import threading
from functools import partial

import pytest

from deltawire import AsyncClientset, AsyncContext, AsyncMetadataClient, Context, FakeClientset, Handler
from deltawire.client.aio.mapper import AsyncDeferredRESTMapper
from deltawire.client.aio.scale import AsyncScaleClient
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.dynamic.dynamic_client import DynamicClient
from deltawire.client.rest.client import RESTClient
from deltawire.client.schema import GroupVersionResource
from deltawire.common.clock import SystemClock
from deltawire.common.errors import ConfigError, PluginError, StatusError, TransportError
from deltawire.handlers.async_loop import AsyncLoop
from deltawire.handlers.hooks import Hooks
from deltawire.handlers.reach import Reach
from deltawire.handlers.testing import Harness
from tests.support.websites import CRD, WEBSITES

SITE = {
    "apiVersion": "example.com/v1",
    "kind": "Website",
    "metadata": {"name": "shop", "namespace": "ns"},
    "spec": {"image": "nginx"},
}
MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}, "data": {"a": "1"}}


@pytest.fixture
def clientset():
    with FakeClientset(CRD, SITE) as made:
        yield made


def sites(clientset):
    found = DynamicClient(clientset.rest).resource(GroupVersionResource("example.com", "v1", "websites"))
    return found.namespace("ns")


def done(function, clientset, *, verb="reconcile", obj=None, **options):
    """The harness after one call of ``function`` for the stored site, which ended well."""
    handler = Handler("site", **options)
    getattr(handler, verb)(WEBSITES)(function)
    harness = Harness(handler, client=clientset)
    try:
        [handled] = harness.apply(obj or sites(clientset).get("shop"), resource=WEBSITES)
        assert (handled.verdict, handled.error) == ("done", ""), handled.traceback
    finally:
        harness.close()
    return harness


def test_an_async_function_gets_a_context_whose_writes_are_awaited(clientset):
    kinds = []

    async def f(key, ctx):
        kinds.append((type(ctx), type(ctx.client), ctx.key, ctx.object["spec"]["image"]))
        made = await ctx.apply(ctx.own(MAP))
        assert made["metadata"]["ownerReferences"][0]["name"] == "shop"
        patched = await ctx.patch({"metadata": {"labels": {"seen": "yes"}}})
        assert patched["metadata"]["labels"] == {"seen": "yes"}
        stored = await ctx.status(ready=True)
        assert stored["status"] == {"ready": True}
        ctx.record("Made", "its map")

    harness = done(f, clientset)
    assert kinds == [(AsyncContext, AsyncClientset, "ns/shop", "nginx")]
    assert harness.writes == ["patch configmaps ns/made", "patch websites ns/shop", "patch websites/status ns/shop"]
    assert harness.events == ["Normal Made its map"]


def test_a_sync_function_of_the_same_handler_gets_the_sync_context(clientset):
    kinds = []
    handler = Handler("both")

    @handler.on_add(WEBSITES)
    async def one(obj, event, ctx):
        kinds.append(type(ctx))

    @handler.on_add(WEBSITES)
    def other(obj, event, ctx):
        kinds.append(type(ctx))
        ctx.patch({"metadata": {"labels": {"a": "b"}}})

    harness = Harness(handler, client=clientset)
    harness.apply(sites(clientset).get("shop"), resource=WEBSITES)
    harness.close()
    assert kinds == [AsyncContext, Context]


def test_clients_of_async_functions_are_typed_and_dynamic(clientset):
    seen = []

    async def f(key, ctx):
        namespace = await ctx.client.core_v1().namespaces().get("ns")
        seen.append(namespace.metadata.name)
        resource = ctx.dynamic.resource(GroupVersionResource("example.com", "v1", "websites"))
        seen.append((await resource.namespace("ns").get("shop"))["spec"]["image"])

    done(f, clientset)
    assert seen == ["ns", "nginx"]


def test_discovery_metadata_and_scale_of_async_functions_are_answered_by_the_harness(clientset):
    seen = []

    async def f(key, ctx):
        found = ctx.client.discovery()
        seen.append((await found.resolve("websites")).kind)
        only = AsyncMetadataClient(ctx.client.rest).resource(GroupVersionResource("example.com", "v1", "websites"))
        seen.append((await only.namespace("ns").get("shop")).metadata.name)
        scales = AsyncScaleClient(ctx.client.rest, AsyncDeferredRESTMapper(found))
        with pytest.raises(StatusError) as missing:
            await scales.get(GroupVersionResource("apps", "", "deployments"), "shop", "ns")
        seen.append(missing.value.code)

    done(f, clientset)
    assert seen == ["Website", "shop", 404]


def test_a_finalizer_is_held_by_async_with_and_goes_when_the_block_ended_well(clientset):
    seen = []

    async def f(key, ctx):
        async with ctx.finalizer("example.com/dns") as leaving:
            seen.append(leaving)
            if leaving and len(seen) == 2:
                raise RuntimeError("the DNS is down")

    done(f, clientset)
    assert sites(clientset).get("shop")["metadata"]["finalizers"] == ["example.com/dns"]
    sites(clientset).delete("shop")
    handler = Handler("site")
    handler.reconcile(WEBSITES)(f)
    harness = Harness(handler, client=clientset)
    [failed] = harness.settle()
    assert failed.verdict == "retry" and "the DNS is down" in failed.error
    assert sites(clientset).get("shop")["metadata"]["finalizers"] == ["example.com/dns"]
    harness.advance(60)
    harness.close()
    assert seen[:3] == [False, True, True]
    assert not sites(clientset).list().items


def test_all_that_an_async_context_writes_bears_the_handlers_name_as_field_manager(clientset):
    async def f(key, ctx):
        async with ctx.finalizer("example.com/dns"):
            await ctx.patch({"metadata": {"annotations": {"a": "b"}}})

    before = {e["manager"] for e in sites(clientset).get("shop")["metadata"].get("managedFields", [])}
    done(f, clientset)
    stored = sites(clientset).get("shop")["metadata"]
    assert (stored["finalizers"], stored["annotations"]) == (["example.com/dns"], {"a": "b"})
    assert {entry["manager"] for entry in stored["managedFields"]} - before == {"site"}


def test_an_async_finalizer_outlasts_a_conflict(clientset):
    conflicts = []

    async def f(key, ctx):
        await ctx.finalizer("example.com/dns").add()

    def another_writes_first(action):
        if not conflicts and "finalizers" in action.object["metadata"]:
            conflicts.append(True)
            sites(clientset).patch("shop", {"metadata": {"labels": {"x": "y"}}})

    clientset.fake.prepend_reactor("patch", "websites", another_writes_first)
    done(f, clientset)
    assert conflicts and sites(clientset).get("shop")["metadata"]["finalizers"] == ["example.com/dns"]


def test_an_async_function_waits_until_the_cache_has_what_it_wrote(clientset):
    seen = []

    async def f(key, ctx):
        stored = await ctx.patch({"metadata": {"labels": {"a": "b"}}})
        await ctx.wait_for_cache(stored)
        seen.append(ctx.lister().get_key(key).resource_version == stored["metadata"]["resourceVersion"])
        stored["metadata"]["resourceVersion"] = "999999"
        ctx._surroundings.awaits = lambda *_: None
        with pytest.raises(TransportError, match="not in the cache at version 999999"):
            await ctx.wait_for_cache(stored, timeout_s=0.01)

    done(f, clientset)
    assert seen == [True]


def test_async_timers_and_hooks_get_an_async_context(clientset):
    handler, seen = Handler("t"), []
    handler.on_add("pods")(lambda obj: None)

    async def hook(ctx):
        await ctx.apply({**MAP, "metadata": {"name": "t", "namespace": "ns"}})
        seen.append(hasattr(ctx, "key"))

    handler.on_startup()(hook)
    handler.timer(every_s=1)(hook)
    harness = Harness(handler, client=clientset)
    harness.startup()
    harness.tick()
    harness.close()
    assert seen == [False, False]
    assert harness.writes == ["patch configmaps ns/t"] * 2


def test_connections_of_async_functions_are_closed_with_their_loop(api_server):
    asyncs = AsyncLoop()
    rest = RESTClient(ClientConfig(api_server.url))
    reach = Reach(lambda: rest, handler="h", clock=SystemClock())

    async def f():
        return await reach.aio.core_v1().namespaces().get("default")

    assert asyncs.run(f()).metadata.name == "default"
    asyncs.close(5.0)  # what is left open would be a warning, which is an error here
    rest.close()


def test_connections_of_async_cleanups_are_closed_too(api_server):
    asyncs = AsyncLoop()
    rest = RESTClient(ClientConfig(api_server.url))
    reach = Reach(lambda: rest, handler="h", clock=SystemClock())
    handler, seen = Handler("h"), []

    async def bye():
        seen.append((await reach.aio.core_v1().namespaces().get("default")).metadata.name)

    handler.on_cleanup()(bye)
    hooks = Hooks(handler.hooks, lambda is_async: None, asyncs, replica=0, clock=SystemClock())
    asyncs.close(5.0)  # as at the end of a process: calls have ended, with their loop
    hooks.stop(0.0)
    assert seen == ["default"] and asyncs._loop is None
    rest.close()


def test_a_client_that_is_made_in_an_async_function_is_no_blocking_line_of_its_author(caplog):
    """Libraries are loaded then, once a process."""
    asyncs, never = AsyncLoop(blocked_s=0.01), threading.Event()
    reach = Reach(partial(never.wait, 0.3), handler="h", clock=SystemClock())

    async def f():
        return reach.client

    with caplog.at_level(logging.WARNING):
        asyncs.run(f())
    asyncs.close(5.0)
    assert "blocks the event loop" not in caplog.text


def test_a_mistake_in_an_awaited_write_is_the_failure_of_the_call(clientset):
    async def f(key, ctx):
        with pytest.raises(ConfigError, match="not the name of a finalizer"):
            ctx.finalizer("dns")
        with pytest.raises(ConfigError, match=r"metadata\.namespace is missing"):
            await ctx.apply(MAP)

    done(f, clientset)


def test_a_context_of_the_other_kind_is_refused_when_the_file_is_loaded():
    async def one(key, ctx: Context): ...

    def other(key, ctx: AsyncContext): ...

    handler = Handler("h")
    for function, said in (
        (one, "an async function gets an AsyncContext, whose writes are awaited (annotate it AsyncContext"),
        (other, "a function gets a Context (annotate it Context"),
    ):
        with pytest.raises(PluginError) as raised:
            handler.reconcile("pods")(function)
        assert said in str(raised.value) and "test_async_context.py:" in str(raised.value)
