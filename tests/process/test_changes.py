"""A pipeline that runs is changed: handlers and informers come and go, and what did not change goes on."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deltawire.informer.main import HOUSEKEEPING_S
from tests.support.pipeline import Pipeline, ServerProcess, wait_until
from tests.support.stage import pass_time

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("changes"), pytest.mark.timeout(180)]

# Each call is a line in a file; the first word is of which version of the code. It waits while a file says so.
PLUGIN = """
import os
import time
from pathlib import Path

from deltawire import Handler

handler = Handler("{name}")


@handler.on_add("{resource}")
def added(obj, event):
    while Path("{calls}.hold").exists():
        time.sleep(0.02)
    with Path("{calls}").open("a") as file:
        file.write(f"{version} {{event.key}} {{event.attempt}}\\n")


@handler.on_delete("{resource}")
def deleted(obj, event):
    with Path("{calls}").open("a") as file:
        file.write(f"{version} -{{event.key}} {{event.attempt}}\\n")
"""


class Scene:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = ServerProcess(folder, "--objects", "pods=3")
        self.write("first", "pods", 1)
        handlers = [{"name": "first", "run": str(folder / "first.py"), "delivery": "every"}]
        runtime = {"reflectors": 1, "workers": 1, "heartbeat": 1, "dir": str(folder / "run")}
        self.pipeline = Pipeline(folder, self.server.kubeconfig, runtime=runtime, handlers=handlers)
        self.pipeline.up()
        wait_until("readiness", lambda: self.pipeline.status().get("ready"), seconds=60, every_s=0.2)

    def write(self, name: str, resource: str, version: int) -> Path:
        file = self.folder / f"{name}.py"
        calls = self.folder / f"{name}.calls"
        file.write_text(PLUGIN.format(name=name, resource=resource, version=version, calls=calls))
        return file

    def calls(self, name: str) -> list[str]:
        file = self.folder / f"{name}.calls"
        return file.read_text().splitlines() if file.exists() else []

    def pod(self, name: str) -> None:
        pod = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        self.server.call("POST", "/api/v1/namespaces/default/pods", json=pod)

    def until_called(self, name: str, line: str) -> None:
        wait_until(f"{line} in {name}", lambda: line in self.calls(name), seconds=60)

    def until_replicas(self, group: str, *names: str) -> None:
        def found() -> bool:
            status = self.pipeline.status()
            ours = {
                n for n, p in status.get("processes", {}).items() if n.startswith(f"{group}-") and p["pid"]
            }
            return ours == set(names) and status.get("ready", False)

        wait_until(f"{names} of {group}", found, seconds=60, every_s=0.1)

    def group(self, name: str) -> dict[str, Any]:
        group: dict[str, Any] = self.pipeline.status().get("groups", {}).get(name, {})
        return group

    def states(self, group: str) -> dict[str, str]:
        processes = self.pipeline.status().get("processes", {})
        return {name: p["state"] for name, p in processes.items() if name.startswith(f"{group}-")}

    def command(self, *arguments: str) -> str:
        done = self.pipeline.run_words(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def change(self, **keys: Any) -> None:
        config = yaml.safe_load(self.pipeline.config.read_text())
        self.pipeline.config.write_text(yaml.safe_dump(config | keys))


@pytest.fixture
def scene() -> Iterator[Scene]:
    # Not tmp_path: a unix socket's path ends at 107 bytes.
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        made = Scene(Path(text).resolve())
        try:
            yield made
        finally:
            print(made.pipeline.log)
            made.pipeline.close()
            made.server.stop()


def test_a_restart_takes_the_new_code_and_no_event_is_lost_or_handled_twice(scene: Scene) -> None:
    scene.write("first", "pods", 2)
    scene.pod("before")
    scene.until_called("first", "1 default/before 1")
    scene.command("handlers", "restart", "first")
    names = [f"during-{i}" for i in range(10)]
    for name in names:
        scene.pod(name)
    scene.until_replicas("first", "first-1")
    scene.pod("after")
    scene.until_called("first", "2 default/after 1")
    wait_until("all of them", lambda: len(scene.calls("first")) >= 3 + 1 + 10 + 1)
    handled = [line.split()[1] for line in scene.calls("first")]
    assert len(handled) == len(set(handled)) == 3 + 1 + 10 + 1


def test_a_restart_while_calls_wait_loses_none_of_what_the_old_replica_had_not_begun(scene: Scene) -> None:
    hold = scene.folder / "first.calls.hold"
    hold.touch()
    scene.write("first", "pods", 2)
    names = [f"waits-{i}" for i in range(12)]
    for name in names:
        scene.pod(name)
    wait_until("all are at the replica", lambda: scene.group("first").get("in_flight") == 12, seconds=60)
    scene.command("handlers", "restart", "first")
    both = {"first-0": "stopping", "first-1": "ready"}
    wait_until("the old one is to leave", lambda: scene.states("first") == both, seconds=60)
    hold.unlink()
    scene.until_replicas("first", "first-1")
    wait_until("nothing is pending", lambda: scene.group("first").get("pending") == 0, seconds=60)
    handled = sorted(line.split()[1] for line in scene.calls("first") if "/waits-" in line)
    assert handled == sorted(f"default/{name}" for name in names)


def test_what_happens_while_a_handler_is_not_in_the_config_reaches_it_when_apply_brings_it_back(
    scene: Scene,
) -> None:
    scene.pod("old")
    scene.until_called("first", "1 default/old 1")
    handlers = yaml.safe_load(scene.pipeline.config.read_text())["handlers"]
    scene.change(informers=[{"resource": "pods"}], handlers=[])
    assert "first: removed" in scene.command("apply")
    scene.until_replicas("first")
    scene.server.call("DELETE", "/api/v1/namespaces/default/pods/old")
    scene.pod("new")
    pass_time(2 * HOUSEKEEPING_S)  # a worker that forgets who is away does so in this time
    scene.change(handlers=handlers)
    assert "first: added" in scene.command("apply")
    scene.until_called("first", "1 default/new 1")
    wait_until("nothing is pending", lambda: scene.group("first").get("pending") == 0, seconds=60)
    handled = [line.split()[1] for line in scene.calls("first")]
    assert "-default/old" in handled
    assert len(handled) == len(set(handled)), "nothing comes twice"


@pytest.mark.long
def test_new_code_that_cannot_be_loaded_leaves_the_old_replica_as_it_is(scene: Scene) -> None:
    before = scene.pipeline.pids()
    (scene.folder / "first.py").write_text("def broken(:\n")
    done = scene.pipeline.run_words("handlers", "restart", "first")
    assert done.returncode == 2
    assert "first.py:1: syntax error" in done.stderr
    # One that ends before it is ready: described well, and then it is not there.
    scene.write("first", "pods", 2)
    text = (scene.folder / "first.py").read_text()
    (scene.folder / "first.py").write_text(
        text + "\nimport sys\nif '--describe' not in sys.argv:\n    os._exit(7)\n"
    )
    scene.command("handlers", "restart", "first")
    wait_until("the note", lambda: "the one before goes on" in scene.pipeline.log, seconds=60)
    scene.until_replicas("first", "first-0")
    assert scene.pipeline.pids() == before
    scene.pod("still")
    scene.until_called("first", "1 default/still 1")


@pytest.mark.long
def test_a_handler_is_paused_misses_nothing_and_comes_back(scene: Scene) -> None:
    scene.command("handlers", "pause", "first")
    scene.until_replicas("first")
    scene.pod("meanwhile")
    assert "paused already" in scene.pipeline.run_words("handlers", "pause", "first").stderr
    scene.command("handlers", "resume", "first")
    scene.until_called("first", "1 default/meanwhile 1")
    scene.command("handlers", "scale", "first", "2")
    scene.until_replicas("first", "first-0", "first-1")
    assert "no handler named 'nobody'" in scene.pipeline.run_words("handlers", "scale", "nobody", "2").stderr


@pytest.mark.long
def test_a_handler_of_another_resource_is_added_beside_those_that_run_and_removed(scene: Scene) -> None:
    before = scene.pipeline.pids()
    file = scene.write("second", "configmaps", 1)
    said = scene.command("handlers", "add", str(file))
    assert "informer dev/configmaps: added" in said
    scene.server.call("POST", "/api/v1/namespaces/default/configmaps", json={"metadata": {"name": "cm"}})
    scene.until_called("second", "1 default/cm 1")
    scene.until_replicas("second", "second-0")
    assert scene.pipeline.pids()["first-0"] == before["first-0"]
    lists = [entry["path"] for entry in scene.server.reflectors_lists() if "pods" in entry["path"]]
    assert len(lists) == 1, "what was listed before is not listed again"
    scene.command("handlers", "remove", "second")
    scene.until_replicas("second")
    assert "second" not in scene.pipeline.answer()["groups"]
    assert scene.pipeline.pids()["first-0"] == before["first-0"]


@pytest.mark.long
def test_a_changed_config_is_applied_without_a_restart_of_what_did_not_change(scene: Scene) -> None:
    before = scene.pipeline.pids()
    scene.write("second", "services", 1)
    first = {"name": "first", "run": str(scene.folder / "first.py"), "delivery": "every"}
    second = {"name": "second", "run": str(scene.folder / "second.py")}
    scene.change(handlers=[first, second])
    assert "second: added" in scene.command("apply")
    scene.until_replicas("second", "second-0")
    assert scene.command("apply") == "nothing to change\n"
    scene.change(handlers=[first, {**second, "workers": 2}])
    assert scene.command("apply") == "second: restarted, one replica after another\n"
    scene.until_replicas("second", "second-1")
    scene.change(handlers=[first])
    assert "second: removed" in scene.command("apply")
    scene.until_replicas("second")
    assert scene.pipeline.pids()["first-0"] == before["first-0"]
    config = yaml.safe_load(scene.pipeline.config.read_text())
    scene.change(runtime={**config["runtime"], "heartbeat": 3})
    done = scene.pipeline.run_words("apply")
    assert (done.returncode, "runtime.heartbeat cannot be changed" in done.stderr) == (1, True)
    scene.pod("in-the-end")
    scene.until_called("first", "1 default/in-the-end 1")
