"""A handler over several clusters, as the config says it."""

from typing import Any

import pytest

from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError

CLUSTERS = {name: {"kubeconfig": name} for name in ("dev", "prod-a", "prod-b")}


def plan(**handler: Any) -> Plan:
    handlers = [{"name": "group", "command": ["x"], "on": ["pods"], **handler}]
    return Plan(parse({"version": 1, "clusters": CLUSTERS, "handlers": handlers}))


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], ["dev"]),
        (["*"], ["dev", "prod-a", "prod-b"]),
        (["prod-*"], ["prod-a", "prod-b"]),
        (["prod-b", "dev", "prod-?"], ["dev", "prod-a", "prod-b"]),
    ],
)
def test_a_handler_watches_in_each_cluster_that_its_patterns_name(
    patterns: list[str], expected: list[str]
) -> None:
    made = plan(clusters=patterns)
    assert made.handlers["group"].informers == [f"{name}/pods" for name in expected]
    assert list(made.informers) == made.handlers["group"].informers


def test_what_names_its_own_cluster_is_watched_there_only() -> None:
    made = plan(clusters=["prod-*"], on=["pods", {"resource": "nodes", "cluster": "dev"}])
    assert made.handlers["group"].informers == ["prod-a/pods", "prod-b/pods", "dev/nodes"]


def test_what_is_only_read_has_a_cache_in_each_cluster_and_is_not_delivered() -> None:
    made = plan(clusters=["*"], on=["pods", {"resource": "nodes", "verbs": []}])
    assert made.handlers["group"].informers == ["dev/pods", "prod-a/pods", "prod-b/pods"]
    assert {"dev/nodes", "prod-a/nodes", "prod-b/nodes"} < set(made.informers)


def test_a_filter_holds_in_each_cluster() -> None:
    made = plan(clusters=["prod-*"], on=[{"resource": "pods", "labels": "app=web"}])
    assert set(made.handlers["group"].filters) == {"prod-a/pods", "prod-b/pods"}


def test_a_pattern_that_no_cluster_is_called_like_is_refused_with_its_place() -> None:
    with pytest.raises(
        ConfigError, match=r"no cluster is called like 'qa-\*' \(clusters: dev, prod-a, prod-b\)"
    ) as e:
        plan(clusters=["dev", "qa-*"])
    assert e.value.path == "handlers[0].clusters[1]"


def test_any_pattern_may_mean_the_one_cluster_of_a_config_without_clusters() -> None:
    made = Plan(
        parse(
            {"version": 1, "handlers": [{"name": "g", "command": ["x"], "on": ["pods"], "clusters": ["*"]}]}
        )
    )
    assert made.handlers["g"].informers == ["default/pods"]
