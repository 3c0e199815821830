"""What a changed config changes in a pipeline that runs."""

from typing import Any

from deltawire.cli.supervisor.differences import Differences, differences
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan

PRINTER = {"name": "printer", "command": ["cat"], "on": ["pods"]}
BASE: dict[str, Any] = {"version": 1, "informers": [{"resource": "pods"}], "handlers": [PRINTER]}


def found(**keys: Any) -> Differences:
    return differences(Plan(parse(BASE)), Plan(parse(BASE | keys)))


def test_the_same_config_differs_in_nothing() -> None:
    assert found() == Differences()


def test_handlers_that_come_go_change_and_are_scaled_are_told_apart() -> None:
    other = {**PRINTER, "name": "other"}
    assert found(handlers=[PRINTER, other]) == Differences(added=["other"])
    assert found(handlers=[]) == Differences(removed=["printer"])
    assert found(handlers=[{**PRINTER, "workers": 9}]) == Differences(changed=["printer"])
    assert found(handlers=[{**PRINTER, "replicas": 2}]) == Differences(scaled=["printer"])


def test_an_informer_that_comes_goes_or_changes_concerns_the_roles_before_the_handlers() -> None:
    nodes = {"resource": "nodes"}
    for informers, name in (
        ([{"resource": "pods"}, nodes], "default/nodes"),
        ([{"resource": "pods", "drop": [".metadata.managedFields"]}], "default/pods"),
    ):
        assert found(informers=informers) == Differences(informers=[name], is_flow=True)


def test_a_handler_that_wants_every_state_concerns_the_broker() -> None:
    latest = {**PRINTER, "delivery": "latest"}
    before = Plan(parse(BASE | {"handlers": [latest]}))
    after = Plan(parse(BASE | {"handlers": [latest, {**PRINTER, "name": "all", "delivery": "every"}]}))
    assert differences(before, after) == Differences(added=["all"], is_flow=True)


def test_what_needs_a_new_start_is_named_by_its_key() -> None:
    assert found(runtime={"workers": 3}).fixed == ["runtime.workers"]
    assert found(store={"shards": 8}).fixed == ["store.shards"]
    assert found(clusters={"default": {"context": "other"}}).fixed == ["clusters"]
    assert found(clusters={"default": {}, "more": {"context": "more"}}).fixed == []
    assert found(network={"endpoints": {"control": "127.0.0.1:7400"}}).fixed == ["network.endpoints"]
    assert found(network={"keys": "keys", "listen": "127.0.0.1"}).fixed == ["network.listen", "network.keys"]
    assert found(runtime={"revision": 7}).fixed == []


def test_a_cluster_that_comes_or_goes_concerns_its_informers_and_the_handlers_that_name_it_by_a_pattern() -> None:
    one = {"version": 1, "clusters": {"a": {}}, "handlers": [{**PRINTER, "clusters": ["*"]}]}
    two = one | {"clusters": {"a": {}, "b": {"kubeconfig": "b"}}}
    expected = Differences(changed=["printer"], informers=["b/pods"], is_flow=True)
    assert differences(Plan(parse(one)), Plan(parse(two))) == expected
    assert differences(Plan(parse(two)), Plan(parse(one))) == expected


def test_the_first_cluster_cannot_go_while_it_runs() -> None:
    two = {"version": 1, "clusters": {"a": {}, "b": {}}, "handlers": [{**PRINTER, "clusters": ["*"]}]}
    assert differences(Plan(parse(two)), Plan(parse(two | {"clusters": {"b": {}}}))).fixed == ["clusters"]
