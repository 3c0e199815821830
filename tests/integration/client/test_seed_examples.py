"""The programs of examples/seeds, run as a newcomer runs them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deltawire import ClientConfig, Clientset
from tests.support.leftovers import inherited
from tests.support.servers import ServerFactory

FOLDER = Path(__file__).parents[3] / "examples" / "seeds"
RESOURCE = re.compile(r"name: [a-z/]+, group: [a-z0-9.]*, version v\w+")
NODE = re.compile(r"NAME:[a-z0-9-]+ \t STATUS: NodeStatus\(.*\)")
OBJECT = re.compile(r"NAME:[a-z0-9-]+ \t NAME:[a-z0-9-]+ \t STATUS: (PodStatus|DeploymentStatus)\(.*\)")


def run(program: str, *args: str) -> list[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", **inherited()}
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


@contextlib.contextmanager
def followed(program: str, *args: str) -> Iterator[Callable[[str], None]]:
    """A program that goes on: waits for a line. In the end it is interrupted, and must leave well."""
    command = [sys.executable, str(FOLDER / program), *args]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", **inherited()}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        guard = threading.Timer(50, process.kill)
        guard.start()
        assert process.stdout is not None
        assert process.stderr is not None
        seen: list[str] = []

        def wait_for(line: str) -> None:
            while line not in seen:
                read = process.stdout.readline()  # type: ignore[union-attr]
                assert read, f"no {line!r} in {seen}"
                seen.append(read.rstrip())

        try:
            yield wait_for
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            assert (process.wait(), process.stderr.read()) == (0, "")
        finally:
            guard.cancel()
            process.kill()


def test_an_informer_tells_of_deployments_in_the_seeds_words(
    api_server_factory: ServerFactory, tmp_path: Path
) -> None:
    server = api_server_factory()
    kubeconfig = server.write_kubeconfig(tmp_path / "config")
    with Clientset.from_config(ClientConfig(server.url)) as clientset:
        deployments = clientset.apps_v1().deployments("default")
        server.create("deployments.apps", {"metadata": {"name": "web"}, "spec": {}}, "default")
        with followed("watch_deployments.py", "--kubeconfig", str(kubeconfig)) as wait_for:
            wait_for("add a deployment: web")
            wait_for("1 -> web")
            deployments.patch("web", {"metadata": {"labels": {"app": "web"}}})
            wait_for("update deployment: web web")
            deployments.delete("web")
            wait_for("delete a deployment: web")


def test_the_controller_works_on_custom_resources_by_key() -> None:
    with followed("crd_controller.py", "--embedded") as wait_for:
        for widget, size in (("large", 30), ("small", 3)):
            wait_for(f"default/{widget} has size {size}")
            wait_for(f"default/{widget} is as it should be")


def test_the_controller_finds_objects_that_are_in_no_namespace(
    api_server_factory: ServerFactory, tmp_path: Path
) -> None:
    server = api_server_factory()
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    spec = {"group": "example.com", "scope": "Cluster", "names": names, "versions": [version]}
    definition = {"metadata": {"name": "widgets.example.com"}, "spec": spec}
    server.create("customresourcedefinitions.apiextensions.k8s.io", definition)
    widget = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "wide"},
        "spec": {"size": 7},
    }
    server.create("widgets.example.com", widget)
    kubeconfig = server.write_kubeconfig(tmp_path / "config")
    with followed("crd_controller.py", "--kubeconfig", str(kubeconfig)) as wait_for:
        wait_for("wide has size 7")
        wait_for("wide is as it should be")


def test_a_program_that_follows_ends_after_its_time() -> None:
    lines = run("watch_deployments.py", "--embedded", "--for", "2s")
    assert {"add a deployment: app-0", "add a deployment: app-1", "1 -> app-0"} <= set(lines)


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
