"""Whatever arrives on a socket disturbs no other peer, is logged once, and is counted.

One pipeline serves all cases here, so each also finds what the ones before it have left behind.
"""

import itertools
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import pytest

from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.limits import FRAME_BYTES_MAX, MESSAGE_BYTES_MAX
from tests.support.hostile import attacker, flood
from tests.support.pipeline import RECORDER, Pipeline, ServerProcess, running, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120), pytest.mark.xdist_group("hostile")]

ENDPOINTS = ("fifo-in", "fifo-out", "worker-0", "control")
OWNERS = {"fifo-in": "fifo", "fifo-out": "fifo", "worker-0": "worker-0"}
PODS = "dev/pods"
RUDE_HANDLER = Path(__file__).parents[1] / "support" / "rude_handler.py"


@dataclass
class Scene:
    """A running pipeline that is attacked."""

    server: ServerProcess
    pipeline: Pipeline
    plan: Plan
    calls: Path
    rude_calls: Path
    names: Iterator[int]

    def endpoint(self, name: str) -> str:
        return self.plan.endpoint(name)

    def status(self) -> dict[str, Any]:
        return self.pipeline.answer()

    def create_pod(self, name: str) -> str:
        pod = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        self.server.call("POST", "/api/v1/namespaces/default/pods", json=pod)
        return f"default/{name}"

    def works(self, seconds: float = 30.0) -> None:
        """A new object reaches the handler."""
        key = self.create_pod(f"probe-{next(self.names)}")
        wait_until(
            f"{key} to reach the handler", lambda: f'"{key}"' in self.calls.read_text(), seconds=seconds
        )

    def rejected(self, endpoint: str) -> int:
        """The counter in status of what was rejected at an endpoint."""
        status = self.status()
        owner = OWNERS.get(endpoint)
        return status["processes"][owner]["rejected"] if owner else status["rejected"]

    def acknowledged(self, group: str) -> int:
        """The calls of a group that its worker took for done, by its last report."""
        return int(self.status()["groups"][group]["acknowledged"])

    def lines_since(self, offset: int) -> str:
        return self.pipeline.log[offset:]


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("hostile")
    calls, rude_calls = folder / "latest.calls", folder / "rude.calls"
    commands = {
        "latest": [sys.executable, str(RECORDER), str(calls)],
        "rude": [sys.executable, str(RUDE_HANDLER), str(rude_calls)],
    }
    # Below pytest's own folder a socket's path would be too long.
    with tempfile.TemporaryDirectory(prefix="dw-") as sockets:
        config = {
            "runtime": {"reflectors": 1, "workers": 1, "heartbeat": 1, "dir": sockets},
            "handlers": [{"name": n, "command": c, "on": ["pods"]} for n, c in commands.items()],
        }
        with running(folder, "--objects", "pods=5", **config) as (server, pipeline):
            pipeline.wait_synced()
            plan = Plan(load(pipeline.config))
            yield Scene(server, pipeline, plan, calls, rude_calls, itertools.count())
            assert pipeline.down() == 0


@pytest.fixture
def unharmed(scene) -> Iterator[Scene]:
    """The scene; afterwards no process was restarted and an object still reaches the handler."""
    before = {name: p["pid"] for name, p in scene.status()["processes"].items()}
    assert len(before) == 5
    yield scene
    scene.works()
    status = scene.status()
    assert {name: p["pid"] for name, p in status["processes"].items()} == before
    assert status["totals"]["restarts"] == 0
    assert "Traceback" not in scene.pipeline.log
    assert "a bug" not in scene.pipeline.log


def packed(*items: Any) -> bytes:
    return msgpack.packb(list(items))


GARBAGE = {
    "nothing": b"",
    "random bytes": b"\xc1\x00\xff garbage",
    "a truncated message": packed(2, 1, 1, [["mark", "dev/pods", "*", "7"]])[:-3],
    "a message with a tail": packed(2, 1, 1, [["mark"]]) + b"\x00",
    "no array": msgpack.packb(7),
    "a map": msgpack.packb({"version": 2}),
    "too short": packed(2, 1, 1),
    "no message in it": packed(2, 1, 1, []),
    "a wrong version": packed(99, 1, 1, [["mark"]]),
    "a version that is true": packed(True, 1, 1, [["mark"]]),
    "a version that is a list": packed([2], 1, 1, [["mark"]]),
    "a kind that is a number": packed(2, 1, 0, [[7]]),
    "a session that is a text": packed(2, "1", 1, [["mark"]]),
    "two where one travels alone": packed(2, 1, 0, [["beat"], ["beat"]]),
    "a text that is too long": packed(2, 1, 0, [["mark", "x" * 5000]]),
    "a text that is not UTF-8": b"\x94\x02\x01\x00\x91\x92\xa4mark\xa2\xff\xfe",
    "an array that is too long": packed(2, 1, 0, [["mark", [0] * 100_001]]),
    "an array that is not there": b"\x94\x02\x01\x00\x91\x92\xa4mark\xdd\xff\xff\xff\xff",
    "nested a thousand deep": b"\x94\x02\x01\x00\x91\x92\xa4mark" + b"\x91" * 4000,
    "an extension": packed(2, 1, 0, [["mark", msgpack.ExtType(5, b"x")]]),
    "an unhashable map key": b"\x94\x02\x01\x00\x91\x92\xa4mark\x81\x90\x01",
    "over the message's bound": b"x" * (MESSAGE_BYTES_MAX + 1024),
}  # fmt: skip


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_garbage_is_one_line_and_one_count_each(unharmed, endpoint):
    counted = unharmed.rejected(endpoint)
    with attacker(unharmed.endpoint(endpoint)) as stranger:
        for what, data in GARBAGE.items():
            offset = len(unharmed.pipeline.log)
            stranger.raw(data)
            lines = wait_until(
                f"a line about {what}",
                lambda offset=offset: [
                    line for line in unharmed.lines_since(offset).splitlines() if "malformed message" in line
                ],
            )
            assert len(lines) == 1, what
            assert stranger.nonce in lines[0], "the line says who"
            assert len(lines[0]) < 1000, what
    wait_until("the count", lambda: unharmed.rejected(endpoint) - counted == len(GARBAGE), seconds=10)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_frame_over_the_sockets_bound_ends_that_connection_only(unharmed, endpoint):
    with attacker(unharmed.endpoint(endpoint)) as stranger:
        stranger.raw(b"x" * (FRAME_BYTES_MAX + 1024 * 1024))
        # libzmq cuts the connection; the next one is served.
        stranger.message("mark", 1, 1)
        stranger.wait_for("reset")


HELLOS: dict[str, list[Any]] = {
    "no body": [],
    "too few": ["reflector", "reflector-0"],
    "numbers for texts": [1, 2, 3, 4, 5, 6, {}],
    "a pid that is a text": ["reflector", "stranger", "NONCE", "1", 0, "", {}],
    "a name of another identity": ["reflector", "reflector-0", "NONCE", 1, 0, "", {}],
    "another's nonce": ["reflector", "stranger", "00000000", 1, 0, "", {}],
    "a body that is a list": ["reflector", "stranger", "NONCE", 1, 0, "", []],
    "an endless tail": ["reflector", "stranger", "NONCE", 1, 0, "", {}, *[{}] * 1000],
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_hello_that_breaks_the_rules_gets_no_session(unharmed, endpoint):
    counted = unharmed.rejected(endpoint)
    with attacker(unharmed.endpoint(endpoint)) as stranger:
        for body in HELLOS.values():
            stranger.message("hello", 0, 0, *[stranger.nonce if part == "NONCE" else part for part in body])
        wait_until(
            "the count", lambda: unharmed.rejected(endpoint) - counted == len(HELLOS), seconds=10, every_s=0.3
        )


REFUSED: dict[str, list[tuple[str, Any]]] = {
    "fifo-in": [
        ("informer", {"shards": []}),
        ("reflector", {}),
        ("reflector", {"streams": "all"}),
        ("reflector", {"streams": [["dev/pods"]]}),
        ("reflector", {"streams": [["dev/pods", 7]]}),
        ("reflector", {"streams": [["dev/nothing", "*"]]}),
        ("reflector", {"streams": [["dev/pods", "other"]]}),
        ("reflector", {"streams": [["x" * 4000, "y" * 4000]]}),
    ],
    "fifo-out": [
        ("reflector", {"streams": []}),
        ("informer", {"shards": [["dev/pods", "0"]]}),
        ("informer", {"shards": [["dev/pods", 4]]}),
        ("informer", {"shards": [["dev/pods", -1]]}),
        ("informer", {"shards": [["dev/pods", 2**63]]}),
        ("informer", {"shards": {"dev/pods": 0}}),
    ],
    "worker-0": [
        ("handler", {}),
        ("handler", {"group": "g"}),
        ("handler", {"group": 7, "informers": [PODS]}),
        ("handler", {"group": "g", "informers": ["dev/nothing"]}),
        ("handler", {"group": "", "informers": [PODS]}),
        ("handler", {"group": "a\0b", "informers": [PODS]}),
        ("handler", {"group": "x" * 64, "informers": [PODS]}),
        ("handler", {"group": "g", "informers": [PODS], "delivery": "sometimes"}),
        ("handler", {"group": "g", "informers": [PODS], "window": 0}),
        ("handler", {"group": "g", "informers": [PODS], "window_bytes": -1}),
        ("handler", {"group": "g", "informers": [PODS], "resync_s": float("nan")}),
        ("handler", {"group": "g", "informers": [PODS], "attempts_max": 2**64 - 1}),
        ("handler", {"group": "g", "informers": [PODS], "held": [["dev/pods", 0, "k", -1, 0]]}),
        ("handler", {"group": "g", "informers": [PODS], "held": [["dev/pods", 0, "k", 2**64 - 1, 0]]}),
        ("handler", {"group": "g", "informers": [PODS], "held": [["dev/pods", 0]]}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("endpoint", REFUSED)
def test_a_hello_that_asks_for_what_it_may_not_have_is_refused_and_told_why(unharmed, endpoint):
    counted = unharmed.rejected(endpoint)
    for role, body in REFUSED[endpoint]:
        with attacker(unharmed.endpoint(endpoint)) as stranger:
            offset = len(unharmed.pipeline.log)
            stranger.hello(role, body)
            answer = stranger.wait_for("refuse", "welcome")
            assert answer[1] == "refuse", body
            assert answer[4], "the reason"
            wait_until("a line", lambda offset=offset: "refused stranger" in unharmed.lines_since(offset))
    wait_until("the count", lambda: unharmed.rejected(endpoint) - counted == len(REFUSED[endpoint]))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_stranger_and_a_wrong_session_get_a_reset_or_nothing(unharmed, endpoint):
    with attacker(unharmed.endpoint(endpoint), "reflector-0") as stranger:
        for session in (0, 1, -1, 2**53, 2**64 - 1):
            stranger.message("deltas", session, 1, PODS, "*", "7", 0, [])
            assert stranger.wait_for("reset")[2] == session


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_flood_by_somebody_who_never_reads_ends_nobody(unharmed, endpoint):
    """Each of these is answered; the answers pile up in a socket that is not read."""
    message = packed(2, 12345, 1, [["mark"]])
    with attacker(unharmed.endpoint(endpoint)) as stranger:
        for _ in range(60_000):
            stranger.raw(message)
        unharmed.works()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_flood_by_somebody_who_leaves_at_once_ends_nobody(unharmed, endpoint):
    flood(unharmed.endpoint(endpoint), 60_000)
    unharmed.works()


WELCOMED: dict[str, tuple[str, dict[str, Any]]] = {
    "fifo-in": ("reflector", {"streams": []}),
    "fifo-out": ("informer", {"shards": []}),
    "worker-0": ("handler", {"group": "stranger", "informers": []}),
    "control": ("reflector", {}),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_replayed_message_voids_the_session(unharmed, endpoint):
    kind, body = {
        "fifo-in": ("cluster", ["dev", ""]),
        "fifo-out": ("ack", [PODS, 0, "boot", 1]),
        "worker-0": ("acks", [PODS, 0, []]),
        "control": ("status", [{}]),
    }[endpoint]
    with attacker(unharmed.endpoint(endpoint)) as stranger:
        stranger.join(*WELCOMED[endpoint])
        stranger.say(kind, *body)
        stranger.message(kind, stranger.session, 1, *body)
        assert stranger.wait_for("reset")[2] == stranger.session


BREACHES: dict[str, list[tuple[Any, ...]]] = {
    "fifo-in": [
        ("events", PODS, 0, []),
        ("deltas",),
        ("deltas", PODS, "*", "7", -1, []),
        ("deltas", PODS, "*", "7", 0, [["A", "n", "x", "u", "1", "text"]]),
        ("deltas", PODS, "*", "7", 0, [["Q", "n", "x", "u", "1", b"{}"]]),
        ("deltas", "dev/unknown", "*", "7", 0, []),
        ("deltas", PODS, "unknown", "7", 0, []),
        ("begin", PODS, "*", 2**64 - 1),
        ("end", PODS, "*", {}, [], None),
        ("cluster", "unknown", "id"),
    ],
    "fifo-out": [
        ("deltas", PODS, "*", "7", 0, []),
        ("ack", PODS, 0, "boot"),
        ("ack", PODS, 99, "boot", 1),
        ("ack", PODS, 0, "boot", -1),
        ("shard", PODS, 0, "id", "boot", 0, []),
        ("shard", PODS, 0, "id", "boot", 0, {"*": ["1", "2"]}),
        ("shard", "dev/unknown", 0, "id", "boot", 0, {}),
        ("failed", [], 0, ""),
    ],
    "worker-0": [
        ("events", PODS, 0, []),
        ("acks",),
        ("acks", PODS, 0, [["key"]]),
        ("acks", [PODS], 0, []),
        ("acks", PODS, 0, [["key", "1", 0, 0, 0, ""]]),
        ("query",),
        ("query", 1, PODS),
        ("query", 1, [PODS], 0, "get", ["x"]),
        ("query", 1, PODS, {}, "get", ["x"]),
        ("query", 1, PODS, 0, ["get"], ["x"]),
        ("query", 1, PODS, 0, "get", "x"),
        ("query", 1, PODS, 0, "get", ["x"] * 9),
    ],
    "control": [
        ("drain",),
        ("status", "fine"),
        ("ask", 1, 7, {}),
        ("ask", 1, "status", []),
        ("answer", 1),
        ("answer", [], True, {}),
        ("answer", {}, True, {}),
        ("events", PODS, 0, []),
    ],
}  # fmt: skip


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_message_that_breaks_the_rules_ends_its_session_with_a_line_and_a_count(unharmed, endpoint):
    counted = unharmed.rejected(endpoint)
    for breach in BREACHES[endpoint]:
        with attacker(unharmed.endpoint(endpoint)) as stranger:
            stranger.join(*WELCOMED[endpoint])
            offset = len(unharmed.pipeline.log)
            stranger.say(*breach)
            stranger.wait_for("reset")
            wait_until(
                f"a line about {breach}", lambda offset=offset: "stranger" in unharmed.lines_since(offset)
            )
    wait_until("the count", lambda: unharmed.rejected(endpoint) - counted >= len(BREACHES[endpoint]))


def test_deltas_for_a_stream_of_another_are_dropped(unharmed):
    with attacker(unharmed.endpoint("fifo-in")) as stranger:
        stranger.join("reflector", {"streams": []})
        ghost = ["A", "default", "ghost", "uid", "1", b'{"metadata":{"name":"ghost"}}']
        stranger.say("deltas", PODS, "*", "999999", 0, [ghost])
        stranger.say("begin", PODS, "*", 99)
        stranger.say("end", PODS, "*", 99, 0, "999999")
        unharmed.works()
    assert "default/ghost" not in unharmed.calls.read_text()
    done = unharmed.pipeline.run("get", "pods", "ghost", "-n", "default")
    assert done.returncode != 0, "the cache holds what no API server said"


def test_a_forged_reflector_with_anothers_name_owns_the_streams_only_while_it_is_there(unharmed):
    """The newest hello wins, as after a kill; the loser comes back when the winner is gone."""
    with attacker(unharmed.endpoint("fifo-in"), "reflector-0") as stranger:
        stranger.join("reflector", {"streams": [[PODS, "*"]]})
        stranger.say("cluster", "dev", "another-cluster")
        answer = stranger.wait_for("stop", "start")
        assert answer[1] == "stop", "another cluster's deltas would be swept into this cache"


def test_a_forged_worker_with_anothers_name_owns_the_shards_only_while_it_is_there(unharmed):
    with attacker(unharmed.endpoint("fifo-out"), "worker-0") as stranger:
        stranger.join("informer", {"shards": [[PODS, n] for n in range(4)]})
        stranger.wait_for("open")
        stranger.say("ack", PODS, 0, "boot", 10**9)


def test_one_shard_that_was_taken_comes_back(unharmed):
    with attacker(unharmed.endpoint("fifo-out"), "worker-7") as stranger:
        stranger.join("informer", {"shards": [[PODS, 0]]})
    for _ in range(12):
        unharmed.works()


def test_calls_that_nobody_can_have_been_in_are_forgotten(unharmed):
    held = [[PODS, shard, key, 1, 1] for shard in range(4) for key in ("", "x" * 4000, "a\0b", "default/x")]
    with attacker(unharmed.endpoint("worker-0")) as stranger:
        stranger.join("handler", {"group": "held", "informers": [PODS], "held": held})
        stranger.wait_for("opened")


def test_a_forged_replica_cannot_acknowledge_what_others_hold(unharmed):
    unharmed.pipeline.wait_quiet()
    with attacker(unharmed.endpoint("worker-0"), "latest-0") as stranger:
        stranger.join("handler", {"group": "latest", "informers": [PODS], "window": 1})
        for shard in range(4):
            rows = [["default/ghost", seq, fence, 0, 0, ""] for seq in range(20) for fence in range(3)]
            rows += [["default/ghost", 2**63, -1, 99, -(2**60), "x" * 4000]]
            stranger.say("acks", PODS, shard, rows)
        # Its answer comes after the acks were looked at.
        stranger.say("query", 1, PODS, 0, "get", ["default/x"])
        stranger.wait_for("problem", "rows")
    # A report is up to a heartbeat old: two calls later, each seen in a report, it is one after the attack.
    for _ in range(2):
        before = unharmed.acknowledged("latest")
        unharmed.works()
        after = wait_until(
            "the call in a report", lambda before=before: max(unharmed.acknowledged("latest") - before, 0)
        )
    assert before + after <= unharmed.calls.read_text().count('"what": "end"')


QUERIES: list[tuple[Any, ...]] = [
    ("dev/unknown", 0, "get", "default/x"),
    (PODS, 99, "get", "default/x"),
    (PODS, 0, "drop", "everything"),
    (PODS, 0, "get"),
    (PODS, 0, "get", 7),
    (PODS, 0, "list", "", "", "all"),
    (PODS, 0, "list", "", "", -1),
    (PODS, 0, "list", "", "", 2**63),
    (PODS, 0, "index", "unknown", "v", "", 10),
    (PODS, 0, "index", "a\0b", "v\0", "\0", 10),
    (PODS, 0, "get", "x" * 4000),
    (PODS, 0, "get", ""),
    (PODS, 0, "list", "x" * 4000, "y" * 4000, 10),
]


def test_a_query_with_bad_arguments_is_answered_with_its_problem(unharmed):
    with attacker(unharmed.endpoint("worker-0")) as stranger:
        stranger.join("handler", {"group": "stranger", "informers": []})
        for number, query in enumerate(QUERIES):
            stranger.say("query", number, *query[:3], list(query[3:]))
            answer = stranger.wait_for("problem", "rows", "reset")
            assert answer[1] != "reset", query
            assert answer[4] == number, query
            if answer[1] == "problem":
                assert 0 < len(answer[5]) <= 1000, query
            else:
                assert query[2] == "list" or answer[5] == [], query
        big = [b"x" * 1024 * 1024] * 16
        stranger.say("query", big[:15], PODS, 0, "get", ["default/x"])
        stranger.wait_for("problem", "rows", "reset")


REPORTS: list[dict[str, Any]] = [
    {"role": 7, "pid": "no number", "name": [], "turns": "many"},
    {"role": "fifo", "pid": [], "informers": {PODS: {"depth": "deep", "published": [], "leased": None}}},
    {"role": "fifo", "pid": 1, "informers": {PODS: {"depth": 2**64 - 1}}},
    {"role": "informer", "pid": {}, "groups": {"latest": {PODS: {"pending": "x", "replicas": 7}}}},
    {"role": "informer", "informers": {PODS: {"shards": {"0": {"objects": "x"}}, "lag_ms": "slow"}}},
    {"role": "reflector", "streams": {"dev/pods@*": {"lists": {}, "retry_in_s": [], "error": 7}}},
    {"role": "handler", "group": [], "lag_ms": {"p50": "x", "count": {}}, "failed": "y"},
]  # fmt: skip


@pytest.mark.parametrize("name", ["stranger", "fifo", "worker-0", "reflector-0", "latest-0"])
def test_a_forged_status_leaves_the_supervisors_own_picture_alone(unharmed, name):
    pid = unharmed.pipeline.pids().get(name, 1)
    for said_pid in (os.getpid(), pid):
        with attacker(unharmed.endpoint("control"), name) as stranger:
            stranger.hello("fifo", {}, pid=said_pid)
            answer = stranger.wait_for("welcome")
            stranger.session = answer[2]
            for report in REPORTS:
                stranger.say("status", report)
            stranger.say("ask", 1, "status", {})
            assert stranger.wait_for("answer", "reset")[1] in ("answer", "reset")
    status = unharmed.pipeline.wait_synced()
    assert set(status["informers"]) == {PODS}
    assert status["processes"][name if name in OWNERS.values() else "fifo"]["state"] == "ready"


ASKS: list[tuple[Any, Any, Any]] = [
    (1, "unknown", {}),
    (2, "kill", {"name": "../../etc"}),
    (3, "kill", {"name": ["fifo"]}),
    (4, "kill", {}),
    (5, "dead-letters", {"action": "burn"}),
    (6, "dead-letters", {"action": 7, "seq": "x"}),
    (7, "key", {"informer": [], "key": {}}),
    (8, "key", {"informer": PODS, "key": "x" * 4000}),
    (9, "key", {"informer": PODS, "key": ""}),
]


def test_a_request_that_makes_no_sense_is_answered_with_its_problem(unharmed):
    with attacker(unharmed.endpoint("control"), "cli-1") as stranger:
        stranger.join("cli", {})
        for number, verb, arguments in ASKS:
            stranger.say("ask", number, verb, arguments)
            answer = stranger.wait_for("answer", "reset")
            assert answer[1] == "answer", verb
            assert answer[4] == number
        big = {"key": [b"x" * 1024 * 1024] * 15}
        stranger.say("ask", 99, "key", big)
        assert stranger.wait_for("answer", "reset")


RUDE_LINES = {
    "huge-line": "longer than",
    "huge-answer": "longer than",
    "garbage": "is not an answer",
    "unknown-id": "no event with id 987654321",
    "wrong-types": "is not an answer",
    "deep": "is not an answer",
    "twice": "waits for an answer",
    "nothing-said": "expected one of",
    "two-things": "expected one of",
    "for-ever": "retry_after_s is negative",
}


@pytest.mark.parametrize("what", RUDE_LINES)
def test_a_line_that_is_no_answer_is_one_error_and_the_event_is_still_acknowledged(unharmed, what):
    offset = len(unharmed.pipeline.log)
    before = unharmed.status()["processes"]["rude-0"]["rejected"]
    key = unharmed.create_pod(f"rude-{what}")
    wait_until(f"{key} to be answered", lambda: key in unharmed.rude_calls.read_text().splitlines())
    wait_until("a line", lambda: RUDE_LINES[what] in unharmed.lines_since(offset))
    lines = [line for line in unharmed.lines_since(offset).splitlines() if "not an answer" in line]
    assert all(len(line) < 1000 for line in lines)
    status = unharmed.pipeline.wait_quiet()
    assert status["groups"]["rude"]["dead"] == 0
    wait_until("the count", lambda: unharmed.status()["processes"]["rude-0"]["rejected"] > before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_runtime_folder_and_all_in_it_are_ours_alone(scene):
    folder = scene.plan.runtime_dir
    assert mode_of(folder) == 0o700
    found = {path.name: mode_of(path) for path in folder.iterdir()}
    assert {"fifo-in", "fifo-out", "worker-0", "control"} <= found.keys()
    assert not {name for name, mode in found.items() if mode & 0o077}, found


def test_a_runtime_folder_that_others_may_enter_is_closed_before_a_socket_is_made(tmp_path):
    with tempfile.TemporaryDirectory(prefix="dw-") as sockets:
        os.chmod(sockets, 0o777)  # noqa: S103  # that is the mistake
        with running(tmp_path, "--objects", "pods=1", runtime={"dir": sockets, "workers": 1}) as (
            _,
            pipeline,
        ):
            pipeline.wait_synced()
            assert mode_of(Path(sockets)) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("command", [("up",), ("fifo",), ("informer",)])
def test_a_runtime_folder_of_somebody_else_is_refused_with_one_line(tmp_path, command):
    with tempfile.TemporaryDirectory(prefix="dw-") as sockets:
        os.chown(sockets, 12345, 12345)
        pipeline = Pipeline(tmp_path, tmp_path / "kubeconfig", runtime={"dir": sockets})
        (tmp_path / "kubeconfig").write_text("")
        done = pipeline.run(*command)
        os.chown(sockets, os.getuid(), os.getgid())
    assert done.returncode == 2
    assert "belongs to user 12345" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
