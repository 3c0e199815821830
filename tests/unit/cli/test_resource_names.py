"""One custom resource under two names is one informer (P6)."""

import threading
from pathlib import Path
from typing import Any

import pytest

from deltawire.cli import resource_names
from deltawire.cli.config_source import effective, plan_of
from deltawire.common.config.load import check, dump, parse
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.errors import ConfigError, TransportError
from deltawire.common.meta.resources import ResourceType, find, learn

WIDGETS = ResourceType("ex.io", "v1", "widgets", "Widget", True, "widget", ("wd",))
OLDER = ResourceType("ex.io", "v1beta1", "widgets", "Widget", True, "widget", ("wd",))
NAMES = [
    "wd",
    "Widget",
    "widget",
    "widgets",
    "widgets.ex.io",
    "widgets.v1.ex.io",
    "wd.v1beta1.ex.io",
    "WIDGETS",
]


@pytest.fixture(autouse=True)
def nothing_learnt():
    learn([])
    yield
    learn([])


class Served:
    def __init__(self, *types: ResourceType) -> None:
        self.types = types
        self.asked = 0

    def __call__(self, plan: Plan, cluster: str) -> tuple[ResourceType, ...]:
        self.asked += 1
        return self.types


def away(plan: Plan, cluster: str) -> tuple[ResourceType, ...]:
    raise TransportError("connection refused by http://here", reason="refused")


def config(tmp_path: Path, **more: Any) -> Config:
    return parse({"version": 1, "store": {"dir": str(tmp_path)}, **more})


@pytest.mark.parametrize("name", NAMES)
def test_a_resource_has_one_informer_whoever_names_it_how(tmp_path: Path, name: str) -> None:
    found = config(
        tmp_path,
        informers=[{"resource": "widgets.ex.io"}],
        handlers=[
            {"name": "a", "command": ["x"], "on": [name]},
            {"name": "b", "command": ["x"], "on": [{"resource": name, "verbs": ["add"]}, {"resource": "wd"}]},
        ],
    )
    plan = Plan(resource_names.with_resources(found, discover=Served(OLDER, WIDGETS)))
    assert list(plan.informers) == ["default/widgets.ex.io"]
    assert list(plan.handlers["a"].subscriptions) == ["default/widgets.ex.io"]
    assert plan.handlers["b"].subscriptions["default/widgets.ex.io"].verbs == ["add", "update", "delete"]


def test_the_roles_learn_the_names_from_their_config(tmp_path: Path) -> None:
    found = config(tmp_path, informers=[{"resource": "wd"}])
    effective = dump(resource_names.with_resources(found, discover=Served(WIDGETS)))
    learn([])
    (tmp_path / "config.json").write_bytes(effective)
    assert list(plan_of(tmp_path / "config.json").informers) == ["default/widgets.ex.io"]
    assert find("Widget") == WIDGETS


def test_two_informers_that_are_one_are_refused_by_both_names(tmp_path: Path) -> None:
    found = config(tmp_path, informers=[{"resource": "widgets.ex.io"}, {"resource": "wd"}])
    with pytest.raises(ConfigError, match=r"informers\[1\].resource: 'wd' has .* as 'widgets\.ex\.io'"):
        resource_names.with_resources(found, discover=Served(WIDGETS))


def test_what_was_learnt_is_not_asked_for_again_and_needs_no_server(tmp_path: Path) -> None:
    served = Served(WIDGETS)
    found = config(tmp_path, informers=[{"resource": "wd"}])
    plan = Plan(resource_names.with_resources(found, discover=served))
    resource_names.remember(plan)
    again = resource_names.with_resources(found, discover=away)
    assert list(Plan(again).informers) == ["default/widgets.ex.io"]
    assert served.asked == 1
    learn([])
    assert list(plan_of(None, store=tmp_path).informers) == []
    assert find("wd") == WIDGETS, "get, tail and trace know it, too"


def test_built_in_resources_are_never_asked_for(tmp_path: Path) -> None:
    found = config(tmp_path, informers=[{"resource": "deployments.v1.apps"}, {"resource": "po"}])
    assert list(Plan(resource_names.with_resources(found, discover=away)).informers) == [
        "default/deployments.apps",
        "default/pods",
    ]


def test_where_the_server_does_not_answer_names_stay_and_it_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    found = config(tmp_path, informers=[{"resource": "wd"}])
    plan = Plan(resource_names.with_resources(found, discover=away, note=said.append))
    assert list(plan.informers) == ["default/wd"]
    assert said == ["cluster default: cannot find out yet what wd is: connection refused by http://here"]


def test_a_name_that_objects_are_stored_under_stays(tmp_path: Path) -> None:
    (tmp_path / "clusters.json").write_text('{"default":"c1"}')
    shard = tmp_path / "c1" / "wd" / "00000001" / "shard-0"
    shard.mkdir(parents=True)
    (shard / "data.mdb").touch()
    found = config(tmp_path, informers=[{"resource": "wd"}])
    plan = Plan(resource_names.with_resources(found, discover=Served(WIDGETS)))
    assert list(plan.informers) == ["default/wd"]


def test_a_config_that_says_what_resources_are_called_needs_no_discovery() -> None:
    raw = {
        "version": 1,
        "resources": [
            {"group": "ex.io", "version": "v1", "plural": "widgets", "kind": "Widget", "namespaced": True}
        ],
        "informers": [{"resource": "Widget"}],
    }
    found = parse(raw)
    check(found)
    assert list(Plan(found).informers) == ["default/widgets.ex.io"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("widgets.ex.com", "knows no group 'ex.com', of 'widgets.ex.com'; did you mean 'widgets.ex.io'?"),
        ("widgts.ex.io", "serves no 'widgts.ex.io'; did you mean 'widgets.ex.io'?"),
    ],
)
def test_a_resource_that_is_not_served_is_named_with_file_and_line(tmp_path: Path, name: str, said: str) -> None:
    plugin = tmp_path / "site.py"
    head = "from deltawire import Handler\nhandler = Handler('site')\n\n"
    plugin.write_text(f"{head}@handler.on_add({name!r})\ndef f(obj): ...\n")
    found = effective(config(tmp_path, handlers=[{"name": "site", "run": str(plugin)}]))
    notes: list[str] = []
    resource_names.with_resources(found, discover=Served(WIDGETS), note=notes.append)
    [note] = notes
    assert note.startswith(f"{plugin}:4: cluster default {said}")
    assert "apply its CustomResourceDefinition" in note


def test_a_resource_of_an_executable_that_is_not_served_is_named_with_its_handler(tmp_path: Path) -> None:
    found = config(tmp_path, handlers=[{"name": "audit", "command": ["x"], "on": ["gone.ex.io"]}])
    notes: list[str] = []
    resource_names.with_resources(found, discover=Served(WIDGETS), note=notes.append)
    [note] = notes
    assert note.startswith("handler audit: cluster default serves no 'gone.ex.io'")


def test_nothing_is_said_of_what_is_served_or_cannot_be_asked(tmp_path: Path) -> None:
    found = config(tmp_path, handlers=[{"name": "a", "command": ["x"], "on": ["widgets.ex.io"]}])
    notes: list[str] = []
    resource_names.with_resources(found, discover=Served(WIDGETS), note=notes.append)
    assert notes == []


def test_a_cluster_that_only_just_starts_is_asked_until_it_answers(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(resource_names, "ASK_EVERY_S", 0.01)
    found = config(tmp_path, handlers=[{"name": "a", "command": ["x"], "on": ["gone.ex.io", "widgets.ex.io"]}])
    notes: list[str] = []
    told, asked = threading.Event(), 0

    def starting(plan: Plan, cluster: str) -> tuple[ResourceType, ...]:
        nonlocal asked
        asked += 1
        return (WIDGETS,) if asked > 3 else away(plan, cluster)

    def note(text: str) -> None:
        notes.append(text)
        told.set()

    with resource_names.LateLook(Plan(found), "default", note, discover=starting):
        assert told.wait(30)
    assert [note.partition(" (")[0] for note in notes] == ["handler a: cluster default serves no 'gone.ex.io'"]


def test_a_late_look_ends_with_the_run_though_nobody_answers(tmp_path: Path) -> None:
    found = config(tmp_path, handlers=[{"name": "a", "command": ["x"], "on": ["gone.ex.io"]}])
    with resource_names.LateLook(Plan(found), "default", print, discover=away) as look:
        pass
    assert not look._thread.is_alive()


def test_a_cluster_that_hangs_holds_up_the_start_no_longer_than_its_bound_and_no_other(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(resource_names, "ANSWER_S_MAX", 0.5)
    hangs = threading.Event()

    def some_hang(plan: Plan, cluster: str) -> tuple[ResourceType, ...]:
        if cluster.startswith("hanging"):
            hangs.wait(60)
            return ()
        return (WIDGETS,)

    names = ["hanging-1", "hanging-2", "well"]
    wanted = config(
        tmp_path,
        clusters={name: {"kubeconfig": name} for name in names},
        handlers=[{"name": "a", "command": ["x"], "on": ["widgets.ex.io"], "clusters": ["*"]}],
    )
    noted: list[str] = []
    try:
        found = resource_names.with_resources(wanted, discover=some_hang, note=noted.append)
    finally:
        hangs.set()
    assert found.resources == [WIDGETS]
    assert noted == [
        f"cluster {name}: cannot find out yet what widgets.ex.io is: no answer within 0.5 s" for name in names[:2]
    ]
