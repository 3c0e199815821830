"""Factories against a real API server on a socket, and what goes wrong between them."""

import functools
import random
import threading
import time
from contextlib import contextmanager

import pytest
from lightkube.models.apps_v1 import Deployment
from lightkube.models.core_v1 import Pod, Secret

from deltawire import (
    ClientConfig,
    Clientset,
    DynamicSharedInformerFactory,
    MetadataSharedInformerFactory,
    SharedInformerFactory,
)
from deltawire.client.schema import GroupVersionResource
from deltawire.common.errors import StatusError
from deltawire.reflector.backoff import Backoff
from tests.support.informer_rig import Recorder, name_of, stored, until
from tests.support.watch_answers import (
    ANSWERS,
    create_one_of_each,
    expected_lists,
    give_answers,
    lists_of,
)

CONFIG_MAPS = GroupVersionResource("", "v1", "configmaps")


@pytest.fixture
def server(api_server):
    return api_server


@pytest.fixture
def clientset(server):
    with Clientset.from_config(ClientConfig(server.url)) as found:
        yield found


@pytest.fixture
def namespace(server, request):
    """One of this test alone."""
    name = f"n{abs(hash(request.node.nodeid)) % 10**9}"
    server.create("namespaces", {"metadata": {"name": name}})
    return name


@contextmanager
def started(*factories):
    """Started and synced; every thread has ended afterwards."""
    stop = threading.Event()
    try:
        for factory in factories:
            factory.start(stop)
        for factory in factories:
            synced = factory.wait_for_cache_sync(stop, 40)
            assert all(synced.values()), factory.status()
        yield stop
    finally:
        stop.set()
        assert all(factory.shutdown(40) for factory in factories)


def config_map(name, **labels):
    return {"metadata": {"name": name, "labels": labels}}


def test_the_seeds_program_sees_a_deployments_life(server, clientset, namespace):
    server.create("deployments.apps", {"metadata": {"name": "there"}, "spec": {}}, namespace)
    factory = SharedInformerFactory(clientset, resync_s=60)
    deployments = factory.apps().v1().deployments()
    lister = deployments.lister()
    told = Recorder()
    deployments.informer().add_event_handler(told)
    with started(factory):
        assert [d.metadata.name for d in lister.deployments(namespace).list()] == ["there"]
        assert isinstance(lister.deployments(namespace).get("there"), Deployment)
        client = clientset.apps_v1().deployments(namespace)
        client.patch("there", {"metadata": {"labels": {"app": "web"}}})
        until(lambda: lister.deployments(namespace).list("app=web"))
        client.delete("there")
        until(lambda: any(what == "delete" for what, *_ in told.told))
        with pytest.raises(StatusError, match="not found"):
            lister.deployments(namespace).get("there")
    assert [what for what, key, _ in told.told if key.startswith(namespace)] == ["add", "update", "delete"]


def test_a_filtered_factory_has_its_namespace_and_selection_only(server, clientset, namespace):
    server.create("configmaps", config_map("in", app="web"), namespace)
    server.create("configmaps", config_map("out", app="db"), namespace)
    server.create("configmaps", config_map("elsewhere", app="web"), "default")
    factory = SharedInformerFactory(
        clientset,
        namespace=namespace,
        tweak_list_options=lambda options: options.update(label_selector="app=web"),
    )
    lister = factory.core().v1().config_maps().lister()
    told = Recorder()
    factory.core().v1().config_maps().informer().add_event_handler(told)
    with started(factory):
        assert [o.metadata.name for o in lister.list()] == ["in"]
        clientset.core_v1().config_maps(namespace).patch("out", {"metadata": {"labels": {"app": "web"}}})
        clientset.core_v1().config_maps(namespace).patch("in", {"metadata": {"labels": {"app": "db"}}})
        until(lambda: len(told.told) == 3)
        assert [o.metadata.name for o in lister.list()] == ["out"]
    assert [(what, key.partition("/")[2]) for what, key, _ in told.told] == [
        ("add", "in"),
        ("add", "out"),
        ("delete", "in"),
    ]


def test_dicts_and_metadata_come_from_the_untyped_factories(server, clientset, namespace):
    server.create("configmaps", {**config_map("a", app="web"), "data": {"key": "value"}}, namespace)
    dynamic = DynamicSharedInformerFactory(clientset, namespace=namespace)
    metadata = MetadataSharedInformerFactory(clientset, namespace=namespace)
    whole, partial = dynamic.for_resource(CONFIG_MAPS), metadata.for_resource(CONFIG_MAPS)
    with started(dynamic, metadata):
        found = whole.lister().in_namespace(namespace).get("a")
        assert (found["kind"], found["data"]) == ("ConfigMap", {"key": "value"})
        assert partial.lister().in_namespace(namespace).get("a").metadata.labels == {"app": "web"}
        clientset.core_v1().config_maps(namespace).delete("a")
        until(lambda: not whole.lister().list() and not partial.lister().list())


def test_a_custom_resource_needs_no_class(server, clientset, namespace):
    gvr = GroupVersionResource("example.com", "v1", "widgets")
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    server.create(
        "customresourcedefinitions.apiextensions.k8s.io",
        {
            "metadata": {"name": "widgets.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {
                    "plural": "widgets",
                    "singular": "widget",
                    "kind": "Widget",
                    "listKind": "WidgetList",
                },
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        },
    )
    factory = DynamicSharedInformerFactory(clientset)
    sizes = {"size": lambda widget: [str(widget["spec"]["size"])]}
    widgets = factory.for_resource(gvr, sizes)
    with started(factory):
        widget = {
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "metadata": {"name": "w"},
            "spec": {"size": 3},
        }
        server.create("widgets.example.com", widget, namespace)
        [found] = until(lambda: widgets.informer().get_indexer().by_index("size", "3"))
        assert found["kind"] == "Widget"


@pytest.mark.usefixtures("impatient")
def test_why_a_cache_does_not_fill_is_said(server, clientset, caplog):
    fault = server.fault("error", 503, resource="secrets")
    factory = SharedInformerFactory(clientset)
    secrets = factory.core().v1().secrets().informer()
    stop = threading.Event()
    factory.start(stop)
    try:
        until(lambda: secrets.status().state == "backoff")
        assert factory.wait_for_cache_sync(stop, 0.05) == {Secret: False}
        assert "made on purpose" in secrets.status().error
        assert [r for r in caplog.records if r.getMessage().startswith("informer secrets@*: ")]
        server.clear_faults(fault)
        assert all(factory.wait_for_cache_sync(stop, 40).values())
        assert secrets.status().error == ""
    finally:
        server.clear_faults(fault)
        stop.set()
        assert factory.shutdown(40)


def test_a_watch_that_cannot_be_kept_is_listed_again_and_one_that_is_refused_is_watched_again(
    server, clientset
):
    """docs/watches.md in one process: each resource's watch meets another answer."""
    create_one_of_each(server.create, "before")
    factory = DynamicSharedInformerFactory(clientset)
    informers = {}
    for resource in ANSWERS:
        plural, _, group = resource.partition(".")
        informers[resource] = factory.for_resource(GroupVersionResource(group, "v1", plural))
    listers = [informer.lister().in_namespace("default") for informer in informers.values()]
    with started(factory):
        until(lambda: all(i.informer().status().state == "watching" for i in informers.values()))
        give_answers(server)
        until(lambda: lists_of(server) == expected_lists(), lambda: str(lists_of(server)))
        until(lambda: all(i.informer().status().state == "watching" for i in informers.values()))
        create_one_of_each(server.create, "after")
        until(lambda: all(names_in(lister) >= {"before", "after"} for lister in listers))
        assert lists_of(server) == expected_lists()


def names_in(lister):
    return {name_of(obj)[0].rpartition("/")[2] for obj in lister.list()}


def versions_of(clientset):
    """Key → version of the pods that the server has."""
    return dict(name_of(pod) for pod in clientset.core_v1().pods().list().items)


class Churn:
    """Changes pods in the server for as long as it runs, and counts what it did."""

    def __init__(self, server, clientset, seed):
        self._server = server
        self._clientset = clientset
        self._draw = random.Random(seed)
        self._stop = threading.Event()
        self.changes = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()

    def _run(self):
        pods = self._clientset.core_v1().pods("churn")
        alive: set[str] = set()
        while not self._stop.is_set():
            name = f"c{self._draw.randrange(60)}"
            if name not in alive:
                container = {"name": "main", "image": "registry.local/app:1"}
                body = {"metadata": {"name": name}, "spec": {"containers": [container]}}
                self._server.create("pods", body, "churn")
                alive.add(name)
            elif self._draw.random() < 0.2:
                pods.delete(name)
                alive.discard(name)
            else:
                pods.patch(name, {"metadata": {"labels": {"turn": str(self.changes)}}})
            self.changes += 1


@pytest.fixture
def impatient(monkeypatch):
    """Retries and second lists come soon."""
    monkeypatch.setattr(
        "deltawire.local.reflector.Backoff", functools.partial(Backoff, base_s=0.02, cap_s=0.2)
    )
    monkeypatch.setattr("deltawire.reflector.machine.LIST_LOOP_S", 0.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("objects", [2_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_thousands_of_objects_survive_cuts_lost_history_and_broken_lists(api_server_factory, objects):
    """Watches are killed, the history is compacted, lists fail: the cache equals the server, and what handlers were
    told is a chain without a gap, a repetition or an invention."""
    server = api_server_factory(objects={"pods": objects})
    server.create("namespaces", {"metadata": {"name": "churn"}})
    with Clientset.from_config(ClientConfig(server.url)) as clientset:
        factory = SharedInformerFactory(clientset)
        pods = factory.informer_for(Pod)
        early, slow = Recorder(), Recorder()
        pods.add_event_handler(early)
        pods.add_event_handler(slow, notifications_max=50)
        with started(factory):
            late = Recorder()
            with Churn(server, clientset, seed=50) as churn:

                def goes_on():
                    before = churn.changes
                    until(lambda: churn.changes >= before + 40)

                def lose_history():
                    """What happens in the block comes by no watch."""
                    # A watch that is refused for long lists by itself, and has lost nothing then.
                    lists = pods.status().lists
                    fault = server.fault("error", 500, resource="pods", verb="watch")
                    server.cut("pods")
                    goes_on()
                    server.compact()
                    server.clear_faults(fault)
                    until(lambda: pods.status().lists > lists, "another list")

                goes_on()
                server.cut("pods")
                goes_on()
                lose_history()
                slow.gate.clear()
                goes_on()
                pods.add_event_handler(late)
                slow.gate.set()
                cut = server.fault("cut", 5, resource="pods", verb="watch", count=3)
                goes_on()
                server.clear_faults(cut)
                lose_history()
                goes_on()
            expected = versions_of(clientset)
            assert len(expected) >= objects
            for recorder in (early, slow, late):
                until(lambda r=recorder: r.versions == expected, "a handler to know what the server has")
            assert stored(pods) == expected
            status = pods.status()
            assert status.lists >= 3
            assert status.watches > status.lists
            assert (status.refused, status.error) == (0, "")
        for recorder in (early, slow, late):
            assert recorder.faults == []
            told = [(key, version) for what, key, version in recorder.told if what != "delete"]
            assert len(told) == len(set(told)), "a version of a key was told twice"


def test_listers_of_each_factory_say_how_fresh_they_are(server, clientset, namespace):
    typed = SharedInformerFactory(clientset, namespace=namespace)
    untyped = DynamicSharedInformerFactory(clientset, namespace=namespace)
    metadata = MetadataSharedInformerFactory(clientset, namespace=namespace)
    listers = [
        typed.core().v1().config_maps().lister(),
        typed.for_resource("pods").lister(),
        untyped.for_resource(CONFIG_MAPS).lister(),
        metadata.for_resource(CONFIG_MAPS).lister(),
    ]
    assert [lister.freshness().is_fresh for lister in listers] == [False] * 4
    with started(typed, untyped, metadata):
        server.create("configmaps", {"metadata": {"name": "one"}}, namespace)
        written_s = time.time() + 0.5  # what is on its way has come by then
        for lister in listers:
            until(lambda of=lister: (of.freshness().as_of_s or 0.0) > written_s, lister.freshness)
            assert lister.freshness().is_fresh
        for lister in (listers[0], *listers[2:]):
            assert len(lister.list()) == 1
