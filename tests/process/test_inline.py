"""``deltawire handler NAME --inline`` on a terminal: a person looks at a call, and nothing takes that for a hang."""

import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
import zmq

from deltawire.common import beats
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from tests.behaviour.test_handlers_runner import PODS, Worker, row
from tests.support.pipeline import DELTAWIRE, Pipeline, ServerProcess, descendants, is_alive, wait_until

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("inline"), pytest.mark.timeout(180)]

HEARTBEAT_S = 0.3
HANG_AFTER_S = 1
PLUGIN = """
from deltawire import Handler

handler = Handler("mine")

@handler.on_add("pods")
def added(pod, event):
    name = pod["metadata"]["name"]
    if name.startswith("look"):
        breakpoint()
    print("added", name, "attempt", event.attempt, flush=True)
"""


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(
        self, *command: str, env: dict[str, str] | None = None, pass_fds: tuple[int, ...] = ()
    ) -> None:
        self._fd, theirs = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, pass_fds=pass_fds,
            env={**os.environ, "TERM": "dumb", **(env or {})},
        )  # fmt: skip
        os.close(theirs)
        os.set_blocking(self._fd, False)

    def type(self, line: str) -> None:
        os.write(self._fd, line.encode() + b"\n")

    def read(self) -> str:
        try:
            while data := os.read(self._fd, 65536):
                self.text += data.decode(errors="replace")
        except OSError:
            pass  # nothing more now, or the other end is closed
        return self.text

    def shows(self, pattern: str, times: int = 1) -> bool:
        return len(re.findall(pattern, self.read())) >= times

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._fd)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "mine.py").write_text(PLUGIN)
        self.config = folder / "deltawire.yaml"
        config = {
            "version": 1,
            "store": {"dir": str(folder / "state")},
            "runtime": {
                "dir": str(folder), "heartbeat": HEARTBEAT_S, "workers": 1, "hang_after": HANG_AFTER_S,
                "drain_deadline": 2,
            },
            "handlers": [{"name": "mine", "run": str(folder / "mine.py"), "deadline": "100ms"}],
        }  # fmt: skip
        self.config.write_text(yaml.safe_dump(config))
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.worker = Worker(self.context, Plan(load(self.config)))
        self.beats, theirs = os.pipe()
        os.set_blocking(self.beats, False)
        self.terminal = Terminal(
            str(DELTAWIRE), "handler", "mine", "--inline", "-c", str(self.config),
            env={beats.VARIABLE: str(theirs)}, pass_fds=(theirs,),
        )  # fmt: skip
        os.close(theirs)

    def until_shows(self, pattern: str, times: int = 1) -> None:
        self.worker.until(lambda: self.terminal.shows(pattern, times), f"{pattern} on the terminal")

    def turns(self) -> int:
        try:
            return os.read(self.beats, 65536).count(b"turn\n")
        except BlockingIOError:
            return 0

    def close(self) -> None:
        print(self.terminal.read())
        self.terminal.close()
        os.close(self.beats)
        self.worker.listener.close()
        self.context.term()


@pytest.fixture
def scene() -> Iterator[Scene]:
    # Not tmp_path: a unix socket's path ends at 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="dw-"))
    made = Scene(folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


def test_a_call_in_the_debugger_is_no_hang_and_its_lease_and_liveness_go_on(scene: Scene) -> None:
    """Longer than the deadline of calls, than three beats and than `hang_after`."""
    worker = scene.worker
    worker.until_connected()
    worker.send("events", PODS, 0, [row("ns/look", 1), row("ns/other", 2)])
    scene.until_shows(r"\(Pdb\)")
    scene.turns()
    looked_at_s = time.monotonic()
    worker.until(lambda: time.monotonic() > looked_at_s + 2 * HANG_AFTER_S, "a long look")
    assert scene.turns() > 0, "its loop turns meanwhile"
    assert (worker.gone, len(worker.hellos), worker.acks) == (0, 1, [])
    scene.terminal.type("p 'name is ' + name")
    scene.until_shows("name is look")
    scene.terminal.type("c")
    worker.until(lambda: len(worker.acks) == 2, "both acks")
    assert worker.acked() == [("ns/look", 1, 0), ("ns/other", 2, 0)]
    assert (worker.gone, len(worker.hellos)) == (0, 1)
    scene.terminal.process.send_signal(signal.SIGINT)
    worker.until(lambda: scene.terminal.process.poll() is not None, "its end")
    assert scene.terminal.process.returncode == 0


def test_who_quits_the_debugger_gives_the_event_back_unfailed(scene: Scene) -> None:
    worker = scene.worker
    worker.until_connected()
    worker.send("events", PODS, 0, [row("ns/look", 1), row("ns/other", 2)])
    scene.until_shows(r"\(Pdb\)")
    scene.terminal.type("q")
    worker.until(lambda: scene.terminal.process.poll() is not None, "its end")
    worker.until(lambda: len(worker.acks) == 2, "what it gives back")
    # Verdict 1, after 250 ms, without an error.
    assert sorted(a[2:] for a in worker.acks) == [
        ["ns/look", 1, 1, 1, 250, ""],
        ["ns/other", 2, 1, 1, 250, ""],
    ]
    assert scene.terminal.process.returncode == 0


def test_a_terminated_replica_ends_around_a_call_that_somebody_looks_at(scene: Scene) -> None:
    worker = scene.worker
    worker.until_connected()
    worker.send("events", PODS, 0, [row("ns/look", 1)])
    scene.until_shows(r"\(Pdb\)")
    os.kill(scene.terminal.process.pid, signal.SIGINT)
    # The debugger's own answer to Ctrl-C at its prompt: it stays.
    scene.until_shows("KeyboardInterrupt")
    scene.terminal.process.terminate()
    worker.until(lambda: scene.terminal.process.poll() is not None, "its end")
    assert scene.terminal.process.returncode == 4


@pytest.mark.long
def test_a_handler_is_debugged_beside_a_pipeline_that_runs_without_it() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        folder = Path(text).resolve()
        (folder / "mine.py").write_text(PLUGIN)
        server = ServerProcess(folder, "--objects", "pods=3", "--churn", "0")
        runtime = {"reflectors": 1, "workers": 1, "heartbeat": HEARTBEAT_S, "hang_after": HANG_AFTER_S}
        mine = {"name": "mine", "run": str(folder / "mine.py"), "replicas": 0, "delivery": "every"}
        pipeline = Pipeline(folder, server.kubeconfig, runtime=runtime | {"dir": text}, handlers=[mine])
        terminal = None
        try:
            pipeline.up()
            wait_until("readiness", lambda: pipeline.status().get("ready"), seconds=60, every_s=0.3)
            terminal = Terminal(str(DELTAWIRE), "handler", "mine", "--inline", "-c", str(pipeline.config))
            wait_until("the objects", lambda: terminal.shows("added .* attempt 1", 3), seconds=60)
            pod = {"metadata": {"name": "look-here"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
            server.call("POST", "/api/v1/namespaces/default/pods", json=pod)
            wait_until("the debugger", lambda: terminal.shows(r"\(Pdb\)"), seconds=60)
            pids = pipeline.pids()
            # Time itself is what is waited for: three beats and twice `hang_after`.
            time.sleep(2 * HANG_AFTER_S)
            terminal.type("c")
            wait_until("its end", lambda: terminal.shows("added look-here attempt 1"), seconds=60)

            def acknowledged() -> bool:
                return bool(pipeline.answer()["groups"]["mine"]["acknowledged"] == 4)

            wait_until("the acknowledgement", acknowledged, seconds=60, every_s=0.3)
            assert pipeline.pids() == pids
            terminal.process.send_signal(signal.SIGINT)
            wait_until("its end", lambda: terminal.process.poll() is not None, seconds=60)
            assert terminal.process.returncode == 0
            assert pipeline.down() == 0
        finally:
            if terminal is not None:
                print(terminal.read())
                terminal.close()
            pipeline.close()
            server.stop()


def test_run_inline_starts_the_pipeline_beside_and_ends_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.replace('startswith("look")', 'startswith("app")'))
    with tempfile.TemporaryDirectory(prefix="dw-") as store:
        terminal = Terminal(
            str(DELTAWIRE), "run", str(tmp_path / "mine.py"), "--inline", "--embedded", "--objects", "pods=3",
            "--churn", "0", "--store", store,
        )  # fmt: skip
        try:
            wait_until("the debugger", lambda: terminal.shows(r"\(Pdb\)"), seconds=90)
            roles = descendants(terminal.process.pid)
            assert len(roles) >= 5, "API server, broker, worker, reflector, supervisor, and this one"
            for number in (1, 2, 3):
                wait_until("the debugger", lambda n=number: terminal.shows(r"\(Pdb\)", n), seconds=60)
                terminal.type("c")
            wait_until("its end", lambda: terminal.shows("added .* attempt 1", 3), seconds=60)
            terminal.process.send_signal(signal.SIGINT)
            wait_until("its end", lambda: terminal.process.poll() is not None, seconds=60)
            assert terminal.process.returncode == 0
            assert not any(map(is_alive, roles))
        finally:
            print(terminal.read())
            terminal.close()


def test_run_inline_says_what_is_wrong_and_ends_with_its_code(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    terminal = Terminal(
        str(DELTAWIRE), "run", str(tmp_path / "mine.py"), "--inline", "--context", "nowhere",
        "--store", str(tmp_path / "s"), env={"KUBECONFIG": str(tmp_path / "none")},
    )  # fmt: skip
    try:
        wait_until("its end", lambda: terminal.process.poll() is not None, seconds=60)
        assert terminal.process.returncode == 2
        assert len(re.findall(r"deltawire: ", terminal.read())) == 1
    finally:
        print(terminal.read())
        terminal.close()
