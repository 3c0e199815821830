"""The fakes for users' tests: the real clients over the API server in this process.

Where client-go's tracker of objects falls short of a server (versions, selectors, collections), this does not.
"""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from deltawire import DynamicClient, FakeClientset, MetadataClient
from deltawire.apiserver.options import ApiServerOptions
from deltawire.client import errors
from deltawire.client.restmapper.deferred import DeferredRESTMapper
from deltawire.client.scale import ScaleClient
from deltawire.client.schema import GroupVersionResource
from deltawire.client.transport.remote_command import run
from deltawire.client.typed.models import models
from deltawire.common.errors import ConfigError, StatusError, TransportError
from deltawire.fake import Action

apps, core, meta = models("apps_v1"), models("core_v1"), models("meta_v1")
WIDGETS = GroupVersionResource("example.net", "v1", "widgets")
MAPS = GroupVersionResource("", "v1", "configmaps")
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.net"},
    "spec": {
        "group": "example.net",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                        },
                    }
                },
            }
        ],
    },
}


def config_map(name: str, namespace: str | None = None, **data: str) -> Any:
    return core.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace=namespace), data=data or None)


def widget(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.net/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def replicas(name: str, count: int) -> Any:
    labels = {"app": name}
    container = core.Container(name="web", image="nginx")
    template = core.PodTemplateSpec(
        metadata=meta.ObjectMeta(labels=labels), spec=core.PodSpec(containers=[container])
    )
    spec = apps.DeploymentSpec(
        replicas=count, selector=meta.LabelSelector(matchLabels=labels), template=template
    )
    return apps.Deployment(metadata=meta.ObjectMeta(name=name), spec=spec)


@pytest.fixture
def clientset() -> Iterator[FakeClientset]:
    with FakeClientset() as found:
        yield found


def test_objects_are_there_from_the_start_with_their_status_and_no_action_tells_of_them() -> None:
    running = core.Pod(metadata=meta.ObjectMeta(name="a"), status=core.PodStatus(phase="Running"))
    maps = core.ConfigMapList(
        items=[config_map("m", "far"), config_map("n", "far")], metadata=meta.ListMeta()
    )
    plain = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod", "uid": "given"}}
    with FakeClientset(running, maps, plain, DEFINITION, widget("w", size=1)) as clientset:
        assert clientset.fake.actions == []
        assert clientset.core_v1().pods("default").get("a").status.phase == "Running"
        assert len(clientset.core_v1().config_maps("far").list().items) == 2
        assert clientset.core_v1().namespaces().get("prod").metadata.uid != "given"
        widgets = DynamicClient(clientset.rest).resource(WIDGETS).namespace("default")
        assert widgets.get("w")["spec"] == {"size": 1}
    assert running.metadata.uid is None, "what was given is left alone"


def test_owners_among_the_first_objects_own() -> None:
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "owner", "uid": "u"},
    }
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "u"}
    owned = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "owned", "ownerReferences": [reference]},
    }
    with FakeClientset(owner, owned) as clientset:
        maps = clientset.core_v1().config_maps("default")
        assert maps.get("owned").metadata.ownerReferences[0].uid == maps.get("owner").metadata.uid
        maps.delete("owner")
        with pytest.raises(StatusError, match="not found"):
            maps.get("owned")


def test_first_objects_of_no_known_kind_are_refused_and_nothing_is_left_running() -> None:
    before = threading.active_count()
    with pytest.raises(ConfigError, match=r"Widget of example\.net/v1 is not served"):
        FakeClientset(widget("w"))
    with pytest.raises(ConfigError, match="apiVersion and kind"):
        FakeClientset({"metadata": {"name": "a"}})
    with pytest.raises(StatusError, match="Invalid value"):
        FakeClientset(config_map("Not A Name"))
    assert threading.active_count() == before


def test_an_action_is_recorded_as_it_was_asked_and_what_a_reactor_changes_is_stored(
    clientset: FakeClientset,
) -> None:
    def label(action: Action) -> None:
        action.object["metadata"]["labels"] = {"seen": "yes"}

    clientset.fake.prepend_reactor("create", "configmaps", label)
    maps = clientset.core_v1().config_maps("default")
    made = maps.create(config_map("a", x="1"))
    assert made.metadata.labels == {"seen": "yes"}
    assert maps.get("a").metadata.labels == {"seen": "yes"}
    created, got = clientset.fake.actions
    assert (created.verb, created.resource, created.namespace) == ("create", MAPS, "default")
    assert "labels" not in created.object["metadata"]
    assert (got.verb, got.name) == ("get", "a")


def test_a_reactor_refuses_and_the_server_never_hears_of_it(clientset: FakeClientset) -> None:
    def refuse(action: Action) -> None:
        raise StatusError(403, "Forbidden", "not you")

    clientset.fake.prepend_reactor("create", "configmaps", refuse)
    maps = clientset.core_v1().config_maps("default")
    with pytest.raises(StatusError) as raised:
        maps.create(config_map("a"))
    assert errors.is_forbidden(raised.value)
    assert clientset.server.requests.count("create", "configmaps") == 0
    assert maps.list().items == []


def test_a_reactor_may_use_the_client(clientset: FakeClientset) -> None:
    maps = clientset.core_v1().config_maps("default")

    def also(action: Action) -> None:
        if action.object["metadata"]["name"] == "a":
            maps.create(config_map("b"))

    clientset.fake.add_reactor("create", "configmaps", also)
    maps.create(config_map("a"))
    assert [item.metadata.name for item in maps.list().items] == ["a", "b"]


def test_a_watch_sees_its_namespace_or_all_and_every_watcher_sees_everything(
    clientset: FakeClientset,
) -> None:
    clientset.core_v1().namespaces().create(core.Namespace(metadata=meta.ObjectMeta(name="far")))
    near = clientset.core_v1().config_maps("default")
    far = clientset.core_v1().config_maps("far")
    everywhere = clientset.core_v1().config_maps("")
    with near.watch() as one, near.watch() as two, everywhere.watch() as both:
        far.create(config_map("f"))
        near.create(config_map("n"))
        near.delete("n")
        for watch in (one, two):
            told = [next(watch) for _ in range(2)]
            assert [(event.type, event.object.metadata.name) for event in told] == [
                ("ADDED", "n"),
                ("DELETED", "n"),
            ]
        assert [next(both).object.metadata.namespace for _ in range(3)] == ["far", "default", "default"]
    watched = [action for action in clientset.fake.actions if action.verb == "watch"]
    assert [action.namespace for action in watched] == ["default", "default", ""]


def test_a_watch_is_stopped_while_another_thread_waits_for_it(clientset: FakeClientset) -> None:
    clientset.core_v1().config_maps("default").create(config_map("a"))
    watch = clientset.core_v1().config_maps("default").watch()
    is_reading, seen = threading.Event(), list[str]()

    def read() -> None:
        for event in watch:
            seen.append(event.type)
            is_reading.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert is_reading.wait(30)
    watch.stop()
    reader.join(30)
    assert not reader.is_alive()
    assert seen == ["ADDED"]


def test_a_silent_watch_times_out(clientset: FakeClientset) -> None:
    with (
        clientset.core_v1().config_maps("default").watch(read_timeout_s=0.1) as watch,
        pytest.raises(TransportError, match="silent"),
    ):
        next(watch)


def test_a_streaming_list_is_supported(clientset: FakeClientset) -> None:
    maps = clientset.core_v1().config_maps("default")
    maps.create(config_map("a"))
    options = {"send_initial_events": True, "resource_version_match": "NotOlderThan"}
    with maps.watch(allow_watch_bookmarks=True, **options) as watch:  # type: ignore[arg-type]
        assert [next(watch).type for _ in range(2)] == ["ADDED", "BOOKMARK"]


def test_what_does_not_match_exactly_is_not_found(clientset: FakeClientset) -> None:
    clientset.core_v1().config_maps("default").create(config_map("a"))
    for namespace, name in (("kube-system", "a"), ("default", "b"), ("none", "a")):
        with pytest.raises(StatusError) as raised:
            clientset.core_v1().config_maps(namespace).get(name)
        assert errors.is_not_found(raised.value)


def test_a_patch_of_nothing_is_not_found_and_a_second_creation_is_a_conflict(
    clientset: FakeClientset,
) -> None:
    maps = clientset.core_v1().config_maps("default")
    with pytest.raises(StatusError) as missing:
        maps.patch("a", {"data": {"x": "1"}})
    assert errors.is_not_found(missing.value)
    made = maps.create(config_map("a", x="1"))
    with pytest.raises(StatusError) as exists:
        maps.create(config_map("a"))
    assert errors.is_already_exists(exists.value)
    maps.update(config_map("a", x="2"))
    with pytest.raises(StatusError) as stale:
        maps.update(made)
    assert errors.is_conflict(stale.value)


@pytest.mark.parametrize(
    ("patch_type", "patch"),
    [
        ("json", [{"op": "add", "path": "/data/y", "value": "2"}]),
        ("merge", {"data": {"y": "2"}}),
        ("strategic", {"data": {"y": "2"}}),
    ],
)
def test_patches_of_every_type_are_done(clientset: FakeClientset, patch_type: str, patch: Any) -> None:
    maps = clientset.core_v1().config_maps("default")
    maps.create(config_map("a", x="1"))
    assert maps.patch("a", patch, patch_type=patch_type).data == {"x": "1", "y": "2"}


def test_an_apply_creates_owns_conflicts_and_can_be_forced(clientset: FakeClientset) -> None:
    maps = clientset.core_v1().config_maps("default")
    made = maps.apply(config_map("a", x="1"), field_manager="one")
    assert [entry.manager for entry in made.metadata.managedFields] == ["one"]
    with pytest.raises(StatusError) as refused:
        maps.apply(config_map("a", x="2"), field_manager="two")
    assert errors.is_conflict(refused.value)
    assert maps.apply(config_map("a", x="2"), field_manager="two", force=True).data == {"x": "2"}
    assert [action.patch_type for action in clientset.fake.actions] == ["apply"] * 3


def test_a_collection_is_deleted_by_its_selector_as_client_gos_fake_does_not(
    clientset: FakeClientset,
) -> None:
    maps = clientset.core_v1().config_maps("default")
    for name in "abc":
        obj = config_map(name)
        obj.metadata.labels = {"odd": str(name != "b")}
        maps.create(obj)
    maps.delete_collection(label_selector="odd=True")
    assert [item.metadata.name for item in maps.list().items] == ["b"]
    assert clientset.fake.actions[-2].verb == "delete-collection"


def test_a_kind_defined_meanwhile_is_served_listed_by_its_kind_and_applied(clientset: FakeClientset) -> None:
    dynamic = DynamicClient(clientset.rest)
    widgets = dynamic.resource(WIDGETS).namespace("default")
    with pytest.raises(StatusError) as missing:
        widgets.list()
    assert errors.is_not_found(missing.value)
    definitions = GroupVersionResource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    dynamic.resource(definitions).create(DEFINITION)
    made = widgets.apply(widget("w", size=1), field_manager="me")
    assert made["metadata"]["managedFields"][0]["manager"] == "me"
    listed = widgets.list()
    assert (listed.kind, len(listed.items)) == ("WidgetList", 1)
    assert widgets.patch("w", {"spec": {"size": 2}})["spec"] == {"size": 2}


def test_dynamic_metadata_scale_discovery_and_mapper_share_server_and_actions(
    clientset: FakeClientset,
) -> None:
    clientset.apps_v1().deployments("default").create(replicas("web", 2))
    deployments = GroupVersionResource("apps", "v1", "deployments")
    dynamic = DynamicClient(clientset.rest).resource(deployments).namespace("default")
    assert dynamic.get("web")["spec"]["replicas"] == 2
    only = MetadataClient(clientset.rest).resource(deployments).namespace("default")
    assert [item.metadata.name for item in only.list().items] == ["web"]
    mapper = DeferredRESTMapper(clientset.discovery())
    assert mapper.rest_mapping("apps", "Deployment").plural == "deployments"
    assert ScaleClient(clientset.rest, mapper).get(deployments, "web", "default").spec.replicas == 2
    assert clientset.discovery().server_version().git_version.startswith("v1.")
    told = [(a.verb, a.subresource) for a in clientset.fake.actions if a.resource == deployments]
    assert told == [("create", ""), ("get", ""), ("list", ""), ("get", "scale")]


def test_faults_of_the_server_meet_the_client_as_a_network_would(clientset: FakeClientset) -> None:
    maps = clientset.core_v1().config_maps("default")
    clientset.server.fault("throttle", 0.01, resource="configmaps", verb="list", count=1)
    assert maps.list().items == [], "the client came back by itself"
    assert clientset.server.requests.count("list", "configmaps") == 2
    assert len(clientset.fake.actions) == 1
    clientset.server.fault("drop", verb="create", count=1)
    with pytest.raises(TransportError, match="cut the connection"):
        maps.create(config_map("a"))


def test_two_fakes_know_nothing_of_each_other_and_a_closed_one_refuses(clientset: FakeClientset) -> None:
    with FakeClientset() as other:
        other.core_v1().config_maps("default").create(config_map("a"))
        assert clientset.core_v1().config_maps("default").list().items == []
    with pytest.raises(TransportError, match="refused"):
        other.core_v1().config_maps("default").list()


def test_options_of_the_server_can_be_given() -> None:
    with FakeClientset(options=ApiServerOptions(objects={"pods": 3}, tokens=("secret",))) as clientset:
        assert len(clientset.core_v1().pods("").list().items) == 3


def test_what_needs_a_socket_says_so(clientset: FakeClientset) -> None:
    with pytest.raises(ConfigError, match="needs a socket"):
        run(clientset.rest, "default", "a", ["true"])
    with pytest.raises(TypeError, match="server of its own"):
        FakeClientset.from_config()
