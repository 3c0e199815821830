"""A handler over several clusters, as the config says it."""

from pathlib import Path
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


def from_folder(folder: Path, **keys: Any) -> list[str]:
    return list(parse({"version": 1, "kubeconfigs": str(folder), **keys}).clusters)


def test_each_file_of_the_folder_is_a_cluster_behind_those_of_the_config(tmp_path: Path) -> None:
    for name in ("eu.yaml", "asia", "us.prod.conf", ".hidden"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "folder").mkdir()
    assert from_folder(tmp_path, clusters={"zoo": {}}) == ["zoo", "asia", "eu", "us"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["EU.yaml"], "'EU.yaml' makes no cluster's name"),
        (["eu.yaml", "eu.yml"], "'eu.yml' makes a second cluster named 'eu'"),
        (["zoo"], "'zoo' makes a second cluster named 'zoo'"),
    ],
)
def test_a_file_that_can_be_no_cluster_is_refused_by_its_name(
    tmp_path: Path, files: list[str], said: str
) -> None:
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ConfigError, match=said) as error:
        from_folder(tmp_path, clusters={"zoo": {}})
    assert error.value.path == "kubeconfigs"


def test_a_folder_that_is_not_there_or_has_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: Any
) -> None:
    with pytest.raises(ConfigError, match="cannot read the folder"):
        from_folder(tmp_path / "none")
    monkeypatch.setattr("deltawire.common.config.kubeconfigs.KUBECONFIGS_MAX", 1)
    for name in ("a", "b"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ConfigError, match="more than 1 files"):
        from_folder(tmp_path)


def test_a_question_about_what_runs_is_answered_though_a_file_can_be_no_cluster(tmp_path: Path) -> None:
    for name in ("eu.yaml", "EU.yaml"):
        (tmp_path / name).write_text("{}")
    config = {"version": 1, "kubeconfigs": str(tmp_path)}
    assert list(parse(config, is_strict=False).clusters) == ["eu"]
    assert parse(config | {"kubeconfigs": str(tmp_path / "none")}, is_strict=False).clusters == {}
