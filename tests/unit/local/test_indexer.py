"""The store in memory: objects by key, indices that follow."""

import threading

import pytest

from deltawire.common.errors import ConfigError
from deltawire.local.indexer import Indexer, by_namespace


def obj(name, namespace="default", version="1", **labels):
    return {"metadata": {"name": name, "namespace": namespace, "resourceVersion": version, "labels": labels}}


def by_app(found):
    return [found["metadata"]["labels"]["app"]]


@pytest.fixture
def indexer():
    return Indexer({"namespace": by_namespace})


def test_what_is_added_is_found_by_key_object_and_namespace(indexer):
    web = obj("web")
    indexer.add(web)
    indexer.add(obj("node", namespace=""))
    assert indexer.get_by_key("default/web") is web
    assert indexer.get(obj("web", version="0")) is web
    assert indexer.get_by_key("default/other") is None
    assert sorted(indexer.list_keys()) == ["default/web", "node"]
    assert indexer.by_index("namespace", "default") == [web]
    assert [o["metadata"]["name"] for o in indexer.by_index("namespace", "")] == ["node"]


def test_an_update_moves_an_object_in_its_indices():
    indexer = Indexer({"app": by_app})
    indexer.add(obj("a", app="x"))
    indexer.update(obj("a", app="y"))
    assert indexer.index_keys("app", "x") == []
    assert indexer.index_keys("app", "y") == ["default/a"]
    assert indexer.list_index_func_values("app") == ["y"], "a value that nobody has leaks"


def test_a_deletion_leaves_nothing_and_a_missing_key_is_fine(indexer):
    indexer.add(obj("a"))
    indexer.delete(obj("a"))
    indexer.delete(obj("a"))
    assert len(indexer) == 0
    assert indexer.list_index_func_values("namespace") == []


def test_an_object_may_have_many_values_and_is_found_once_by_all_of_them():
    indexer = Indexer({"zone": lambda found: found["metadata"]["labels"]["zones"].split(",")})
    indexer.add(obj("a", zones="x,y,x"))
    indexer.add(obj("b", zones="y"))
    assert indexer.index_keys("zone", "y") == ["default/a", "default/b"]
    assert indexer.index("zone", obj("any", zones="x,y")) in (
        [indexer.get_by_key("default/a"), indexer.get_by_key("default/b")],
        [indexer.get_by_key("default/b"), indexer.get_by_key("default/a")],
    )


def test_an_object_that_was_changed_in_the_cache_corrupts_no_index():
    indexer = Indexer({"app": by_app})
    cached = obj("a", app="x")
    indexer.add(cached)
    cached["metadata"]["labels"]["app"] = "changed by mistake"
    indexer.update(obj("a", app="z"))
    assert indexer.list_index_func_values("app") == ["z"]


def test_an_index_function_that_raises_costs_the_entry_and_not_the_object(caplog):
    indexer = Indexer({"app": by_app})
    indexer.add(obj("a", app="x"))
    indexer.update(obj("a", password="hunter2"))
    assert indexer.get_by_key("default/a") is not None
    assert indexer.index_keys("app", "x") == []
    assert indexer.index_errors == 1
    assert "default/a: KeyError" in caplog.text
    assert "hunter2" not in caplog.text


def test_indices_may_be_added_later_and_names_are_taken_once(indexer):
    indexer.add(obj("a", app="x"))
    indexer.add_indexers({"app": by_app})
    assert indexer.index_keys("app", "x") == ["default/a"]
    with pytest.raises(ConfigError, match="there is an index 'app' already"):
        indexer.add_indexers({"app": by_app, "more": by_app})
    assert set(indexer.indexers) == {"namespace", "app"}


def test_an_unknown_index_is_an_error_that_names_the_known_ones(indexer):
    for ask in (indexer.by_index, indexer.index_keys):
        with pytest.raises(ConfigError, match=r"index 'app' does not exist \(known: namespace\)"):
            ask("app", "x")
    assert indexer.list_index_func_values("app") == []


def test_replace_swaps_everything_at_once(indexer):
    indexer.add(obj("old", "a"))
    indexer.replace([obj("new", "b")], "9")
    assert indexer.list_keys() == ["b/new"]
    assert indexer.list_index_func_values("namespace") == ["b"]
    assert indexer.resource_version == "9"


def test_readers_see_whole_lists_while_one_writes(indexer):
    """Each namespace holds ten objects or none at any moment that `replace` leaves visible."""
    states = [[obj(f"o{i}", namespace) for i in range(10)] for namespace in ("a", "b")]
    indexer.replace(states[0])
    stop, wrong = threading.Event(), []

    def read():
        while not stop.is_set():
            if len(indexer.list()) != 10:
                wrong.append(len(indexer.list()))
            if len(indexer.by_index("namespace", "a")) not in (0, 10):
                wrong.append("index")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(300):
        indexer.replace(states[turn % 2])
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
