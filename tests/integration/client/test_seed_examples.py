"""The programs of examples/seeds, run as a newcomer runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import ServerFactory

FOLDER = Path(__file__).parents[3] / "examples" / "seeds"
RESOURCE = re.compile(r"name: [a-z/]+, group: [a-z0-9.]*, version v\w+")
NODE = re.compile(r"NAME:[a-z0-9-]+ \t STATUS: NodeStatus\(.*\)")
OBJECT = re.compile(r"NAME:[a-z0-9-]+ \t NAME:[a-z0-9-]+ \t STATUS: (PodStatus|DeploymentStatus)\(.*\)")


def run(program: str, *args: str) -> list[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
    done = subprocess.run(
        [sys.executable, str(FOLDER / program), *args],
        capture_output=True,
        text=True,
        timeout=50,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_api_resources_are_printed_in_the_seeds_format() -> None:
    lines = run("print_api_resources.py", "--embedded")
    assert all(RESOURCE.fullmatch(line) for line in lines), lines
    assert "name: configmaps, group: , version v1" in lines
    assert "name: endpoints, group: , version v1" in lines
    assert "name: deployments, group: apps, version v1" in lines
    core = [line for line in lines if line.endswith("group: , version v1")]
    assert lines[: len(core)] == sorted(core)  # core first, by name, as client-go prints them


def test_nodes_are_listed_with_the_rest_client() -> None:
    lines = run("list_nodes.py", "--embedded")
    assert len(lines) == 2
    assert all(NODE.fullmatch(line) for line in lines), lines


@pytest.mark.parametrize(
    ("program", "kinds"),
    [
        ("list_pods_and_deployments.py", {"PodStatus", "DeploymentStatus"}),
        ("list_pods_dynamic.py", {"PodStatus"}),
    ],
)
def test_pods_and_deployments_are_listed_by_a_kubeconfig(
    api_server_factory: ServerFactory, tmp_path: Path, program: str, kinds: set[str]
) -> None:
    server = api_server_factory(objects={"pods": 40, "deployments": 4})
    kubeconfig = server.write_kubeconfig(tmp_path / "config")
    lines = run(program, "--kubeconfig", str(kubeconfig))
    found = [OBJECT.fullmatch(line) for line in lines]
    assert all(found), lines
    assert {match[1] for match in found if match} == kinds


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "list_nodes.py"), "--kubeconfig", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "there is no kubeconfig" in done.stderr
