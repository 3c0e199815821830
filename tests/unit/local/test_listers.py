"""Listers: the cache read as the server would be."""

import pytest
from lightkube.models.apps_v1 import Deployment

from deltawire.client.rest.decode import convert
from deltawire.client.typed.table import row_of
from deltawire.common.errors import ConfigError, StatusError
from deltawire.common.meta.resources import find
from deltawire.local.indexer import NAMESPACE_INDEX, Indexer, by_namespace
from deltawire.local.listers import Lister


def deployment(name, namespace, **labels):
    return convert({"metadata": {"name": name, "namespace": namespace, "labels": labels}}, Deployment)


@pytest.fixture
def lister():
    indexer = Indexer({NAMESPACE_INDEX: by_namespace})
    for made in (deployment("a", "one", app="x"), deployment("b", "one"), deployment("a", "two", app="y")):
        indexer.add(made)
    row = row_of(Deployment)
    return Lister(indexer, row.resource, row.method)


def names(found):
    return sorted(f"{o.metadata.namespace}/{o.metadata.name}" for o in found)


def test_a_lister_lists_all_and_one_namespace_by_its_own_name(lister):
    assert names(lister.list()) == ["one/a", "one/b", "two/a"]
    assert names(lister.deployments("one").list()) == ["one/a", "one/b"]
    assert names(lister.in_namespace("two").list()) == ["two/a"]
    assert names(lister.deployments("").list()) == ["one/a", "one/b", "two/a"]
    assert lister.deployments("three").list() == []


def test_selectors_are_kubectls(lister):
    assert names(lister.list("app")) == ["one/a", "two/a"]
    assert names(lister.deployments("one").list("app in (x, y)")) == ["one/a"]
    assert names(lister.list("app!=x")) == ["one/b", "two/a"]
    with pytest.raises(ConfigError, match="label selector"):
        lister.list("app in x")


def test_get_is_by_namespace_and_name(lister):
    assert lister.deployments("two").get("a").metadata.labels == {"app": "y"}
    assert lister.get("one/b").metadata.name == "b"


def test_what_is_not_there_is_the_servers_own_error(lister):
    with pytest.raises(StatusError) as caught:
        lister.deployments("one").get("c")
    assert caught.value.is_not_found
    assert caught.value.code == 404
    assert str(caught.value) == 'deployments.apps "c" not found'
    assert caught.value.details == {"group": "apps", "kind": "deployments", "name": "c"}
    with pytest.raises(StatusError, match=r'deployments\.apps "c" not found'):
        lister.get("one/c")


def test_what_is_in_no_namespace_has_no_method_for_one():
    indexer = Indexer({NAMESPACE_INDEX: by_namespace})
    indexer.add({"metadata": {"name": "n1"}})
    lister = Lister(indexer, find("nodes"), "nodes")
    assert lister.get("n1") == {"metadata": {"name": "n1"}}
    assert not hasattr(lister, "nodes")
