"""Factories: one informer for each resource, found by the names that client-go and kubectl use."""

import subprocess
import sys
import threading

import pytest
from lightkube.models.apps_v1 import Deployment
from lightkube.models.authentication_v1 import TokenReview
from lightkube.models.core_v1 import Node, Pod

from deltawire import (
    ClientConfig,
    Clientset,
    DynamicSharedInformerFactory,
    MetadataSharedInformerFactory,
    SharedInformerFactory,
)
from deltawire.client.schema import GroupVersionResource
from deltawire.common.errors import ConfigError
from deltawire.factory import new_informer
from deltawire.local import generate
from deltawire.local.groups import watchable
from deltawire.local.source import ClientListerWatcher, Scope
from tests.support import typed_programs

DEPLOYMENTS = GroupVersionResource("apps", "v1", "deployments")


@pytest.fixture
def clientset():
    """Nothing is asked of it."""
    with Clientset.from_config(ClientConfig("http://127.0.0.1:1")) as found:
        yield found


@pytest.fixture
def factory(clientset):
    return SharedInformerFactory(clientset)


def test_each_class_has_one_informer_however_it_is_asked_for(factory):
    informer = factory.apps().v1().deployments().informer()
    assert factory.apps().v1().deployments().informer() is informer
    assert factory.informer_for(Deployment) is informer
    for name in (DEPLOYMENTS, "deploy", "deployments.apps", "deployments.v1.apps", "Deployment", Deployment):
        assert factory.for_resource(name).informer() is informer
    assert factory.core().v1().pods().informer() is not informer
    assert set(factory.status()) == {Deployment, Pod}


def test_groups_that_the_builtin_resources_leave_out_are_found_too(factory):
    assert factory.for_resource("csidrivers.storage.k8s.io").informer().name == "csidrivers.storage.k8s.io@*"
    assert factory.for_resource(GroupVersionResource("", "v1", "nodes")).informer().name == "nodes@*"


def test_all_that_can_be_watched_has_its_method(factory):
    for group, versions in watchable().items():
        for version, members in versions.items():
            for method, row in members.items():
                resource = getattr(getattr(getattr(factory, group)(), version)(), method)()
                assert resource.informer().name.startswith(row.resource.name)
                assert resource.lister().list() == []
    assert len(factory.status()) > 80


def test_what_is_unknown_is_an_error_that_says_what_to_do(factory):
    with pytest.raises(ConfigError, match=r"no informer found for widgets\.example\.com"):
        factory.for_resource("widgets.example.com")
    with pytest.raises(ConfigError, match="no informer found for apps/v9/deployments"):
        factory.for_resource(GroupVersionResource("apps", "v9", "deployments"))
    with pytest.raises(ConfigError, match=r"tokenreviews\.authentication\.k8s\.io can be created and not"):
        factory.informer_for(TokenReview)
    with pytest.raises(ConfigError, match="int is not the class of a resource"):
        factory.informer_for(int)


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(factory):
    for wrong, right in (
        (lambda: factory.app, "did you mean 'apps'"),
        (lambda: factory.apps().v2, "there is v1"),
        (lambda: factory.core().v1().configmaps, "did you mean 'config_maps'"),
    ):
        with pytest.raises(AttributeError, match=right):
            wrong()
    assert {"apps", "core"} <= set(dir(factory))
    assert "v1" in dir(factory.apps())
    assert "config_maps" in dir(factory.core().v1())


def test_untyped_factories_take_any_resource(clientset):
    widgets = GroupVersionResource("example.com", "v1", "widgets")
    for factory in (DynamicSharedInformerFactory(clientset), MetadataSharedInformerFactory(clientset)):
        first = factory.for_resource(widgets, {"x": lambda obj: []})
        assert factory.for_resource(widgets).informer() is first.informer()
        assert set(first.informer().get_indexer().indexers) == {"namespace", "x"}
        with pytest.raises(ConfigError):
            factory.for_resource(GroupVersionResource("example.com", "", "widgets"))


def test_a_factory_of_a_namespace_asks_for_it_where_there_are_namespaces(clientset):
    one = SharedInformerFactory(clientset, namespace="team")
    assert one.core().v1().pods().informer().name == "pods@team"
    assert one.core().v1().nodes().informer().name == "nodes@*"
    assert new_informer(clientset, Node, namespace="team").name == "nodes@*"


def test_tweaks_set_selectors_and_nothing_else(clientset):
    def tweak(options):
        options["label_selector"] = "app=web"
        options["field_selector"] = "spec.nodeName=n1"

    source = ClientListerWatcher(clientset.rest, factory_row(clientset), Scope("team", tweak), Pod)
    request = source._request({"limit": "5"}, "")
    assert request.path == "/api/v1/namespaces/team/pods"
    params = dict(request.call().params)
    assert params == {"limit": "5", "labelSelector": "app=web", "fieldSelector": "spec.nodeName=n1"}
    with pytest.raises(ConfigError, match="an informer sets 'limit' itself"):
        new_informer(clientset, Pod, tweak_list_options=lambda options: options.update(limit=3))
    with pytest.raises(ConfigError, match="an informer sets 'labels' itself"):
        new_informer(clientset, Pod, tweak_list_options=lambda options: options.update(labels="a=b"))


def factory_row(clientset):
    return SharedInformerFactory(clientset).core().v1().pods()._row.resource


def test_resyncs_may_differ_by_class(clientset):
    factory = SharedInformerFactory(clientset, resync_s=60, custom_resync_s={Pod: 5})
    assert factory.informer_for(Pod)._check_s == 5
    assert factory.informer_for(Deployment)._check_s == 60
    with pytest.raises(ConfigError, match="resync_s must be 0 or more"):
        SharedInformerFactory(clientset, resync_s=-1)


def test_nothing_starts_that_was_not_asked_for_and_nothing_after_the_shutdown(factory):
    stop = threading.Event()
    factory.start(stop)
    assert factory.wait_for_cache_sync(stop) == {}
    pods = factory.informer_for(Pod)
    stop.set()
    factory.start(stop)
    assert factory.wait_for_cache_sync(stop) == {Pod: False}
    assert factory.shutdown(30)
    assert factory.shutdown(30)
    assert pods.is_stopped
    factory.informer_for(Node)
    factory.start(stop)
    assert factory.status()[Node].state == "new"


def test_the_stub_is_what_the_table_says():
    assert generate.stub() == generate.STUB.read_text(), "python -m deltawire.local.generate"


RIGHT = """
import threading
from typing import Any, assert_type
from lightkube.models.apps_v1 import Deployment
from lightkube.models.core_v1 import Node, Pod
from deltawire import Clientset, DeletedFinalStateUnknown, DynamicSharedInformerFactory, SharedInformerFactory
from deltawire.client.schema import GroupVersionResource

def added(deployment: Deployment) -> None: ...
def updated(old: Deployment, new: Deployment) -> None: ...
def deleted(found: Deployment | DeletedFinalStateUnknown[Deployment]) -> None: ...

def use(factory: SharedInformerFactory, dynamic: DynamicSharedInformerFactory) -> None:
    deployments = factory.apps().v1().deployments()
    deployments.informer().add_event_handler(on_add=added, on_update=updated, on_delete=deleted)
    factory.start(threading.Event())
    assert_type(factory.wait_for_cache_sync(), dict[type[Any], bool])
    assert_type(deployments.lister().deployments("default").list("a=b"), list[Deployment])
    assert_type(deployments.lister().deployments("default").get("web"), Deployment)
    assert_type(factory.core().v1().nodes().lister().get("n1"), Node)
    assert_type(factory.informer_for(Pod).get_indexer().by_index("namespace", "x"), list[Pod])
    widgets = dynamic.for_resource(GroupVersionResource("example.com", "v1", "widgets"))
    assert_type(widgets.lister().list(), list[dict[str, Any]])
"""
WRONG = """
from lightkube.models.core_v1 import Pod
from deltawire import SharedInformerFactory

def of_pods(pod: Pod) -> None: ...

def use(factory: SharedInformerFactory) -> None:
    factory.apps().v1().pods()
    factory.apps().v9()
    factory.apps().v1().deployments().informer().add_event_handler(on_add=of_pods)
    factory.apps().v1().deployments().informer().add_event_handler(on_delete=lambda gone: gone.metadata)
    factory.apps().v1().deployments().lister().pods("default")
    factory.core().v1().nodes().lister().nodes("default")
"""


@pytest.mark.timeout(typed_programs.TIMEOUT_S)
@pytest.mark.xdist_group(typed_programs.GROUP)
def test_an_editor_knows_every_informer_and_mypy_finds_each_mistake(tmp_path):
    found = typed_programs.lines_with_errors(tmp_path, right_informers=RIGHT, wrong_informers=WRONG)
    assert found == {"right_informers": [], "wrong_informers": [8, 9, 10, 11, 12, 13]}


def test_importing_deltawire_loads_no_informer():
    code = "import deltawire, sys; print(*[n for n in sys.modules if n.startswith('deltawire.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"deltawire.common", "deltawire.common.version"}


def test_a_factory_loads_no_library_of_the_processes():
    code = "from deltawire import SharedInformerFactory; import sys; print(*{n.split('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & {"zmq", "lmdb", "msgpack", "typer", "rich", "aiohttp"} == set()
