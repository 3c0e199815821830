"""An executable of any language as a handler: a real child process behind JSON lines."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import pytest

from deltawire.common.clock import SystemClock
from deltawire.common.errors import PluginError
from deltawire.common.wire.messages.group import Gap
from deltawire.handlers.dispatch import Dispatch, Route
from deltawire.handlers.events import COALESCED, GAP, Delivery, delivery_of_gap
from deltawire.handlers.executor import Results
from deltawire.handlers.jsonlines import ANSWER_BYTES_MAX, ChildProcess, line_of
from tests.support.patience import Patience, wait_until

EXAMPLES = Path(__file__).parents[2] / "examples"
WAIT_S = 15.0


def delivery(key="ns/web", seq=1, kind="U", *, body=b'{"metadata":{"name":"web"}}', old=None, flags=0):
    return Delivery(0, "dev/pods", 0, seq, key, kind, "u1", str(seq), 0, 2, 5, flags, body, old)


class Child:
    """A child process behind a dispatch, as the runner drives it."""

    def __init__(self, command, *, in_flight_max=4, env=None):
        self.process = ChildProcess(
            "audit", command, env or {}, in_flight_max, Results(), clock=SystemClock()
        )
        self.dispatch = Dispatch({"dev/pods": Route(frozenset("AUDS"))}, attempts_max=0)
        self.acks = []
        self.closed = False

    def send(self, *deliveries):
        self.acks += self.dispatch.arrive(deliveries)
        self.turn()

    def turn(self):
        for call, outcome in self.process.results.take():
            self.acks += self.dispatch.ended(call, outcome)
        for call in self.dispatch.take(self.process.capacity - self.dispatch.calls_out):
            self.process.submit([call])

    def until(self, condition):
        def turn():
            self.turn()
            time.sleep(0.005)

        wait_until(condition, lambda: f"acks so far: {self.acks}", seconds=WAIT_S, turn=turn)

    def close(self, grace_s=5.0):
        if not self.closed:
            self.closed = True
            if self.process.close(grace_s):
                self.process.results.close()


@pytest.fixture
def start(tmp_path):
    children = []

    def start(source_or_command, **options):
        command = source_or_command
        if isinstance(command, str):
            script = tmp_path / "child.py"
            script.write_text("import json, os, sys, time\n" + textwrap.dedent(command))
            command = [sys.executable, "-u", str(script)]
        children.append(Child(command, **options))
        return children[-1]

    yield start
    for child in children:
        child.close()


ANSWERS = """
for line in sys.stdin:
    event = json.loads(line)
    print(json.dumps({"id": event["id"], **json.loads(os.environ["ANSWER"])}))
"""


@pytest.mark.parametrize(
    "answer, verdict, after_ms, error",
    [
        ({"ok": True}, 0, 0, ""),
        ({"retry_after_s": 5, "error": "busy"}, 1, 5000, "busy"),
        ({"error": "busy"}, 1, 10, "busy"),
        ({"retry_after_s": 0.5}, 1, 500, ""),
        ({"dead": "no use"}, 2, 0, "no use"),
        ({"ok": True, "dead": "no use"}, 1, 10, "the answer cannot be understood"),
        ({}, 1, 10, "the answer cannot be understood"),
        ({"retry_after_s": -1}, 1, 10, "the answer cannot be understood"),
    ],
)
def test_each_answer_has_its_verdict(start, answer, verdict, after_ms, error):
    child = start(ANSWERS, env={"ANSWER": msgspec.json.encode(answer).decode()})
    child.send(delivery())
    child.until(lambda: child.acks)
    [ack] = child.acks
    assert (ack.key, ack.seq, ack.fence, ack.verdict, ack.after_ms) == ("ns/web", 1, 5, verdict, after_ms)
    assert ack.error.startswith(error)
    assert child.process.malformed == ("understood" in ack.error)


def test_a_line_has_the_event_and_the_objects_as_they_are():
    body = b'{"metadata":\n {"name": "web"},\r\n "n": 1.50, "text": "a\\nb"}'
    line = line_of(7, delivery(body=body, old=b'{"n": 1}', flags=GAP | COALESCED))
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert b'"n": 1.50, "text": "a\\nb"' in line, "spliced, not decoded"
    assert msgspec.json.decode(line) == {
        "id": 7,
        "type": "updated",
        "resource": "pods",
        "cluster": "dev",
        "key": "ns/web",
        "namespace": "ns",
        "name": "web",
        "uid": "u1",
        "version": "1",
        "attempt": 2,
        "fence": 5,
        "flags": ["gap", "coalesced"],
        "object": {"metadata": {"name": "web"}, "n": 1.5, "text": "a\nb"},
        "old": {"n": 1},
    }


def test_a_deletion_without_content_has_its_metadata():
    line = msgspec.json.decode(line_of(1, delivery(kind="D", body=None)))
    assert (line["type"], line["old"]) == ("deleted", None)
    assert line["object"]["metadata"] == {
        "namespace": "ns", "name": "web", "uid": "u1", "resourceVersion": "1"
    }  # fmt: skip


def test_a_key_is_given_out_again_only_after_its_answer(start, tmp_path):
    go = tmp_path / "go"
    child = start(
        """
        import threading
        def answer(id):
            while not os.path.exists(os.environ["GO"]):
                time.sleep(0.005)
            # One write: a print of two threads may put both lines before both their ends.
            os.write(1, (json.dumps({"id": id, "ok": True}) + "\\n").encode())
        for line in sys.stdin:
            event = json.loads(line)
            print(event["key"], event["version"], file=sys.stderr, flush=True)
            threading.Thread(target=answer, args=(event["id"],)).start()
        """,
        env={"GO": str(go)},
    )
    child.send(delivery("ns/a", 1), delivery("ns/a", 2), delivery("ns/b", 3))
    assert [c.newest.seq for c in child.dispatch._calls] != []
    assert sorted(c.newest.seq for c in child.dispatch._calls) == [1, 3]
    go.touch()
    child.until(lambda: len(child.acks) == 3)
    assert [a.seq for a in child.acks if a.key == "ns/a"] == [1, 2]


def test_in_flight_events_are_bounded(start, tmp_path):
    child = start(ANSWERS, in_flight_max=2, env={"ANSWER": '{"ok": true}'})
    for seq in range(50):
        child.dispatch.arrive([delivery(f"ns/{seq}", seq)])
    child.turn()
    assert child.dispatch.calls_out == 2
    child.until(lambda: len(child.acks) == 50)


def test_a_bad_line_is_one_error_and_the_rest_goes_on(start, caplog):
    child = start(
        """
        for line in sys.stdin:
            print("debugging!")
            print("[1]")
            print(json.dumps({"id": 999, "ok": True}))
            print("x" * 200_000)
            print(json.dumps({"id": json.loads(line)["id"], "ok": True}))
        """
    )
    child.send(delivery())
    child.until(lambda: child.acks)
    assert child.acks[0].verdict == 0
    assert child.process.malformed == 4
    errors = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(errors) == 4
    assert "debugging!" in errors[0]
    assert "no event with id 999" in errors[2]
    assert f"longer than {ANSWER_BYTES_MAX} bytes" in errors[3]
    assert all("\n" not in error and len(error) < 400 for error in errors)


def test_stderr_goes_to_the_log_under_the_handlers_name(start, caplog):
    caplog.set_level("INFO")
    child = start("print('started well', file=sys.stderr)\nsys.stdin.read()")
    child.until(
        lambda: any(r.name == "handler.audit" and r.getMessage() == "started well" for r in caplog.records)
    )


def test_a_child_that_ends_is_a_failure_with_its_reason(start):
    child = start("sys.stdin.readline()\nsys.exit(7)")
    child.send(delivery())
    child.until(lambda: child.process.failure)
    assert child.process.failure.startswith("handler 'audit': its process ended with exit code 7;")
    assert child.acks == []


def test_a_killed_child_is_a_failure_with_its_reason(start):
    child = start("sys.stdin.read()")
    os.kill(child.process.pid, signal.SIGKILL)
    child.until(lambda: child.process.failure)
    assert child.process.failure.startswith("handler 'audit': its process was killed by signal 9;")


def test_a_child_may_end_by_itself_when_its_stdin_is_closed(start, tmp_path):
    child = start(
        "sys.stdin.read()\ntime.sleep(0.1)\nopen(os.environ['OUT'], 'w').write('done')",
        env={"OUT": str(tmp_path / "out")},
    )
    child.close()
    assert (tmp_path / "out").read_text() == "done"


def test_a_child_that_ignores_sigterm_is_killed(start):
    child = start(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', file=sys.stderr)\nwhile True: time.sleep(1)"
    )
    time.sleep(0.3)  # so that it has its signal handler; if it has not, the test passes for another reason
    child.close(grace_s=0.2)
    assert not Path(f"/proc/{child.process.pid}").exists()


def test_a_child_dies_with_its_parent(tmp_path):
    """kill -9 of the handler's process leaves no child behind."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "from deltawire.common.clock import SystemClock\n"
            "from deltawire.handlers.jsonlines import ChildProcess\n"
            "from deltawire.handlers.executor import Results\n"
            "c = ChildProcess('x', ['sleep', '300'], {}, 1, Results(), clock=SystemClock())\n"
            "print(c.pid, flush=True)\n"
            "time.sleep(300)\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    patience = Patience(WAIT_S)
    while _is_alive(pid):
        assert not patience.is_over()
        time.sleep(0.01)


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_overdue_events_are_named(start):
    child = start("time.sleep(300)")
    child.send(delivery("ns/slow"))
    now = SystemClock().now_s
    child.until(lambda: child.process.overdue(now()) == ["ns/slow in audit"])
    assert child.process.overdue(now() - 100) == []


@pytest.mark.parametrize("command", [["no-such-program-here"], ["/"]])
def test_a_command_that_cannot_start_is_one_line(command):
    with pytest.raises(PluginError, match=f"handler 'x': cannot start '{command[0]}'"):
        ChildProcess("x", command, {}, 1, Results(), clock=SystemClock())


@pytest.mark.parametrize(
    "command", [["node", str(EXAMPLES / "audit.js")], ["python3", str(EXAMPLES / "audit_lines.py")]]
)
def test_the_audit_examples_note_and_acknowledge(start, tmp_path, command):
    if shutil.which(command[0]) is None:
        assert "CI" not in os.environ, f"{command[0]} is needed in CI"
        pytest.skip(f"{command[0]} is not installed")
    notes = tmp_path / "notes"
    child = start(command, env={"AUDIT_FILE": str(notes)})
    labelled = b'{"metadata":{"labels":{"app":"shop"}}}'
    child.send(delivery("ns/a", 1, "A", body=labelled), delivery("ns/b", 2, "D"))
    child.until(lambda: len(child.acks) == 2)
    assert {ack.verdict for ack in child.acks} == {0}
    assert notes.read_text().splitlines() == [
        "added pods ns/a version=1 app=shop",
        "deleted pods ns/b version=2 app=nobody",
    ]


def test_a_gap_is_a_line_that_has_all_fields_of_the_others():
    notice = delivery_of_gap(0, Gap("dev/pods", 1, 7, "relist", "ns", 2, "100", "200", 1, 2))
    line = msgspec.json.decode(line_of(3, notice))
    usual = msgspec.json.decode(line_of(3, delivery()))
    assert (line["id"], line["type"], line["resource"], line["namespace"]) == (3, "gap", "pods", "ns")
    assert (line["reason"], line["lost_from"], line["version"]) == ("relist", "100", "200")
    assert line["attempt"] == 2
    assert set(usual) <= set(line)
