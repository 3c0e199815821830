"""What is missing is known before anything runs: commands of handlers, kubeconfigs, contexts."""

import os
import resource
from pathlib import Path
from typing import Any

import pytest
import yaml

from deltawire.cli import checks, preflight
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {}}],
    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "here",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(KUBECONFIG))
    for name, mode, text in [
        ("works", 0o755, "#!/bin/sh\n"),
        ("plain", 0o644, "#!/bin/sh\n"),
        ("lost", 0o755, "#!/usr/bin/nothing-of-that-name -x\n"),
    ]:
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").write_bytes((tmp_path / "works").read_bytes())
    (tmp_path / "bin" / "tool").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_with(
    folder: Path, command: list[str], cluster: dict[str, Any] | None = None, **handler: Any
) -> Plan:
    default = {"kubeconfig": str(folder / "kubeconfig")}
    return Plan(
        parse(
            {
                "version": 1,
                "clusters": {"dev": default | (cluster or {}), "unused": {"kubeconfig": "gone"}},
                "store": {"dir": str(folder / "state")},
                "handlers": [{"name": "h", "command": command, "on": ["pods"], **handler}],
            }
        )
    )


MISSING = [
    ("nothing-of-that-name", "there is no command 'nothing-of-that-name' on the PATH"),
    ("./gone", "there is no file ./gone"),
    ("/gone/too", "there is no file /gone/too"),
    ("./plain", "./plain is not an executable file"),
    ("./bin", "./bin is not an executable file"),
    ("./lost", "names /usr/bin/nothing-of-that-name in its first line, which does not exist"),
    ("tool", "there is no command 'tool' on the PATH"),
]


@pytest.mark.parametrize(("command", "said"), MISSING)
def test_a_command_that_cannot_be_started_is_named_with_its_field(
    folder: Path, command: str, said: str
) -> None:
    plan = plan_with(folder, [command, "argument"])
    with pytest.raises(ConfigError) as caught:
        preflight.require(plan)
    assert "handlers[0].command" in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    results = {result.what: result for result in checks.run(plan)}
    assert not results["handler h"].is_ok
    assert said in results["handler h"].text


@pytest.mark.parametrize("command", ["./works", "sh"])
def test_a_command_that_is_there_is_no_problem(folder: Path, command: str) -> None:
    plan = plan_with(folder, [command])
    preflight.require(plan)
    assert {result.what: result for result in checks.run(plan)}["handler h"].is_ok


def test_the_handlers_own_path_counts(folder: Path) -> None:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    preflight.require(plan_with(folder, ["tool"], env={"PATH": path}))


@pytest.mark.parametrize(
    ("cluster", "said"), [({"kubeconfig": "gone"}, "gone"), ({"context": "elsewhere"}, "elsewhere")]
)
def test_a_kubeconfig_or_context_that_is_not_there_is_named(
    folder: Path, cluster: dict[str, Any], said: str
) -> None:
    plan = plan_with(folder, ["sh"], cluster)
    with pytest.raises(ConfigError, match=said):
        preflight.require(plan)
    results = {result.what: result for result in checks.run(plan)}
    assert not results["cluster dev config"].is_ok
    assert said in results["cluster dev config"].text


def test_a_cluster_that_makes_its_kubeconfig_itself_is_not_looked_for(folder: Path) -> None:
    preflight.require(plan_with(folder, ["sh"], {"kubeconfig": "later"}), but="dev")


@pytest.mark.parametrize(
    ("limits", "is_ok", "said"),
    [
        ((256, 1024), True, "a reflector with 3 streams may need 134, the limit is 256"),
        ((64, 1024), True, "a reflector with 3 streams may need 134, the limit is 1024"),
        ((64, 100), False, "may need 134, the limit is 100: raise it with ulimit -n"),
    ],
)
def test_check_says_how_many_open_files_a_reflector_may_need_and_may_have(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], is_ok: bool, said: str
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    config = {
        "version": 1,
        "clusters": {"dev": {"kubeconfig": str(folder / "kubeconfig")}},
        "store": {"dir": str(folder / "state")},
        "runtime": {"reflectors": 2},
        "informers": [{"resource": "pods", "namespaces": ["a", "b", "c", "d", "e"]}],
    }
    found = {result.what: result for result in checks.run(Plan(parse(config)))}
    assert found["open files"].is_ok == is_ok
    assert said in found["open files"].text


def test_check_names_each_host_of_the_endpoints_that_cannot_be_looked_up_once(folder: Path) -> None:
    endpoints = {
        "fifo-in": "no-host.invalid:7401",
        "control": "no-host.invalid:7400",
        "fifo-out": "127.0.0.1:7402",
        "worker-0": "[::1]:7403",
    }
    config = {
        "version": 1,
        "clusters": {"dev": {"kubeconfig": str(folder / "kubeconfig")}},
        "store": {"dir": str(folder / "state")},
        "network": {"endpoints": endpoints, "keys": str(folder / "keys")},
    }
    found = [result for result in checks.run(Plan(parse(config))) if result.what == "network.endpoints"]
    assert [result.is_ok for result in found] == [False]
    assert "the name 'no-host.invalid' of fifo-in, control cannot be looked up" in found[0].text
