"""The typed clients and the embedded API server, over real sockets."""

import multiprocessing
import pickle
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from deltawire.apiserver.server import ApiServer
from deltawire.client import errors
from deltawire.client.apply.extract import extract
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.tools.events.recorder import EventBroadcaster
from deltawire.client.tools.events.sink import ApiSink
from deltawire.client.typed.clientset import Clientset
from deltawire.client.typed.models import models
from deltawire.common.errors import ConfigError, StatusError

apps, core, meta = models("apps_v1"), models("core_v1"), models("meta_v1")


@pytest.fixture
def clientset(api_server: ApiServer) -> Iterator[Clientset]:
    with Clientset.from_config(ClientConfig(api_server.url)) as found:
        yield found


def deployment(name: str, replicas: int = 1) -> Any:
    labels = {"app": name}
    container = core.Container(name="web", image="nginx")
    return apps.Deployment(
        metadata=meta.ObjectMeta(name=name, labels=labels),
        spec=apps.DeploymentSpec(
            replicas=replicas,
            selector=meta.LabelSelector(matchLabels=labels),
            template=core.PodTemplateSpec(
                metadata=meta.ObjectMeta(labels=labels), spec=core.PodSpec(containers=[container])
            ),
        ),
    )


def config_map(name: str, **labels: str) -> Any:
    return core.ConfigMap(metadata=meta.ObjectMeta(name=name, labels=labels or None), data={"a": "1"})


def pod(name: str) -> Any:
    spec = core.PodSpec(containers=[core.Container(name="web", image="nginx")])
    return core.Pod(metadata=meta.ObjectMeta(name=name), spec=spec)


def test_a_typed_object_lives_its_life(clientset: Clientset) -> None:
    deployments = clientset.apps_v1().deployments("default")
    made = deployments.create(deployment("web"))
    assert isinstance(made, apps.Deployment)
    assert made.metadata.uid
    assert made.kind == "Deployment"
    got = deployments.get("web")
    assert got.spec.template.spec.containers[0].image == "nginx"
    got.spec.replicas = 3
    changed = deployments.update(got)
    assert (changed.spec.replicas, changed.metadata.generation) == (3, 2)
    with pytest.raises(StatusError) as found:
        deployments.update(got)
    assert errors.is_conflict(found.value)
    patched = deployments.patch("web", {"metadata": {"labels": {"tier": "front"}}})
    assert patched.metadata.labels == {"app": "web", "tier": "front"}
    deployments.delete("web")
    with pytest.raises(StatusError) as found:
        deployments.get("web")
    assert errors.is_not_found(found.value)


def test_an_update_of_the_status_changes_nothing_else(clientset: Clientset) -> None:
    deployments = clientset.apps_v1().deployments("default")
    made = deployments.create(deployment("web", replicas=2))
    made.status = apps.DeploymentStatus(replicas=2, readyReplicas=1)
    made.spec.replicas = 7
    after = deployments.update_status(made)
    assert (after.status.readyReplicas, after.spec.replicas) == (1, 2)
    with pytest.raises(ConfigError, match="no sub-resource 'status'"):
        clientset.core_v1().config_maps("default").update_status(config_map("one"))


def test_an_update_without_a_name_is_not_sent(clientset: Clientset) -> None:
    with pytest.raises(ConfigError, match=r"without metadata\.name"):
        clientset.core_v1().config_maps("default").update(core.ConfigMap())


def test_lists_are_typed_select_and_page(clientset: Clientset) -> None:
    maps = clientset.core_v1().config_maps("default")
    for number in range(7):
        maps.create(config_map(f"m{number}", parity=("even", "odd")[number % 2]))
    page = maps.list(limit=3)
    assert isinstance(page, core.ConfigMapList)
    assert len(page.items) == 3
    assert page.metadata.continue_
    assert len(maps.list(label_selector="parity=odd").items) == 3
    whole = maps.list_all(page_size=2, label_selector="parity")
    assert [one.metadata.name for one in whole.items] == [f"m{n}" for n in range(7)]
    assert whole.is_paginated
    assert whole.resource_version
    assert sum(1 for _ in maps.each(page_size=2, label_selector="parity=even")) == 4
    everywhere = clientset.core_v1().config_maps().list(label_selector="parity")
    assert len(everywhere.items) == 7


def test_a_collection_is_deleted_by_selector(clientset: Clientset) -> None:
    maps = clientset.core_v1().config_maps("default")
    for number in range(4):
        maps.create(config_map(f"m{number}", parity=("even", "odd")[number % 2]))
    maps.delete_collection(label_selector="parity=odd")
    assert [one.metadata.name for one in maps.list(label_selector="parity").items] == ["m0", "m2"]


def test_a_deletion_can_ask_for_the_very_object(clientset: Clientset) -> None:
    maps = clientset.core_v1().config_maps("default")
    made = maps.create(config_map("one"))
    with pytest.raises(StatusError) as found:
        maps.delete("one", uid="another")
    assert errors.is_conflict(found.value)
    maps.delete("one", uid=made.metadata.uid)


def test_a_dry_run_stores_nothing(clientset: Clientset) -> None:
    maps = clientset.core_v1().config_maps("default")
    assert maps.create(config_map("one"), dry_run=True).metadata.name == "one"
    with pytest.raises(StatusError):
        maps.get("one")


def test_a_watch_brings_typed_events_and_bookmarks(api_server: ApiServer, clientset: Clientset) -> None:
    deployments = clientset.apps_v1().deployments("default")
    made = deployments.create(deployment("web"))
    with deployments.watch(
        send_initial_events=True, resource_version_match="NotOlderThan", allow_watch_bookmarks=True,
        read_timeout_s=10,
    ) as watch:  # fmt: skip
        first, marker = next(watch), next(watch)
        assert (first.type, first.object.metadata.name) == ("ADDED", "web")
        assert isinstance(first.object, apps.Deployment)
        # The object of a bookmark has no spec, which the class calls required.
        assert marker.type == "BOOKMARK"
        assert marker.object.metadata.annotations == {"k8s.io/initial-events-end": "true"}
        assert int(marker.object.metadata.resourceVersion) >= int(made.metadata.resourceVersion)
        deployments.delete("web")
        assert next(watch).type == "DELETED"


def test_a_class_finds_its_own_client(clientset: Clientset) -> None:
    clientset.of(core.ConfigMap, "default").create(config_map("one"))
    assert clientset.of(core.ConfigMap, "default").get("one").data == {"a": "1"}
    clientset.of(core.Namespace, "ignored").get("default")
    with pytest.raises(ConfigError, match="not the class of a resource"):
        clientset.of(core.Container)


def test_threads_share_a_clientset(clientset: Clientset) -> None:
    maps = clientset.core_v1().config_maps("default")
    failures: queue.Queue[BaseException] = queue.Queue()

    def work(number: int) -> None:
        try:
            for round_ in range(10):
                name = f"t{number}-{round_}"
                maps.create(config_map(name))
                assert maps.get(name).metadata.name == name
                maps.delete(name)
        except BaseException as error:  # handed to the test's own thread
            failures.put(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures.empty(), failures.get()


def count_namespaces(config: ClientConfig) -> int:
    with Clientset.from_config(config) as clientset:
        return len(clientset.core_v1().namespaces().list().items)


def test_a_spawned_process_makes_a_clientset_from_the_same_config(
    api_server: ApiServer, clientset: Clientset
) -> None:
    with pytest.raises(TypeError, match="pickle its config"):
        pickle.dumps(clientset)
    here = len(clientset.core_v1().namespaces().list().items)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(count_namespaces, (clientset.config,)) == here


def test_apply_owns_fields_and_a_second_manager_conflicts(clientset: Clientset) -> None:
    maps = clientset.core_v1().config_maps("default")
    applied = maps.apply({"metadata": {"name": "one"}, "data": {"a": "1"}}, field_manager="me")
    assert applied.data == {"a": "1"}
    with pytest.raises(StatusError) as found:
        maps.apply(core.ConfigMap(metadata=meta.ObjectMeta(name="one"), data={"a": "2"}), field_manager="you")
    assert errors.has_status_cause(found.value, "FieldManagerConflict")
    maps.apply({"metadata": {"name": "one"}, "data": {"b": "3"}}, field_manager="you")
    assert extract(maps.get("one"), "you")["data"] == {"b": "3"}
    taken = maps.apply({"metadata": {"name": "one"}, "data": {"a": "2"}}, field_manager="you", force=True)
    assert taken.data == {"a": "2"}


def test_the_replicas_are_scaled(clientset: Clientset) -> None:
    deployments = clientset.apps_v1().deployments("default")
    deployments.create(deployment("web", replicas=2))
    scale = deployments.get_scale("web")
    assert scale.spec is not None and scale.spec.replicas == 2
    scale.spec.replicas = 5
    deployments.update_scale("web", scale)
    assert deployments.get("web").spec.replicas == 5


def test_the_events_about_an_object_are_found(clientset: Clientset) -> None:
    pods, events = clientset.core_v1().pods("default"), clientset.core_v1().events("default")
    broadcaster = EventBroadcaster()
    broadcaster.start_recording_to_sink(ApiSink(clientset.rest))
    recorder = broadcaster.new_recorder("test")
    for name in ("web-0", "web-1"):
        recorder.event(pods.create(pod(name)), "Normal", "Made", f"{name} was made")
    assert broadcaster.shutdown()
    # A listed object has no kind: it is found by what is left, its uid among that.
    listed = next(found for found in pods.list().items if found.metadata.name == "web-1")
    for obj in (pods.get("web-1"), listed):
        assert [event.message for event in events.search(obj).items] == ["web-1 was made"]
    pods.delete("web-1")
    assert events.search(pods.create(pod("web-1"))).items == []
    with pytest.raises(ConfigError, match="needs a name"):
        events.search(core.Pod())


def test_a_pod_is_bound_and_evicted(clientset: Clientset) -> None:
    pods = clientset.core_v1().pods("default")
    pods.create(pod("web-0"))
    target = core.ObjectReference(kind="Node", name="node-1")
    pods.bind(core.Binding(metadata=meta.ObjectMeta(name="web-0"), target=target))
    assert pods.get("web-0").spec.nodeName == "node-1"
    pods.evict("web-0", grace_period_s=0)
    with pytest.raises(StatusError) as found:
        pods.get("web-0")
    assert errors.is_not_found(found.value)
