"""One replica of a group against a worker that the test plays, over real sockets."""

import shutil
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import pytest
import zmq

from deltawire.common.clock import SystemClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.meta.keys import shard_of
from deltawire.common.process import RoleArguments
from deltawire.common.store.layout import DBS_MAX, META, OBJECTS, PLAIN_DBS, Row, pack_row, text_key
from deltawire.common.store.meta import StreamState, encode, stream_key
from deltawire.common.wire.codec import plain
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.listener_events import Arrived, Gone, Hello
from deltawire.common.wire.session import Peer
from deltawire.handlers.main import HandlerRole
from deltawire.handlers.runner import HandlerFailed
from tests.support.messages import said
from tests.support.patience import wait_until

WAIT_S = 15.0


class Worker:
    """The informer worker's end, driven by the test's own thread. Welcomes each hello."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", plan: Plan, number: int = 0) -> None:
        self.listener = Listener(context, plan.endpoint(f"worker-{number}"), clock=SystemClock(), silent_s=6)
        self.peer: Peer | None = None
        self.hellos: list[dict[str, Any]] = []
        self.acks: list[list[Any]] = []
        self.queries: list[list[Any]] = []
        self.gaps_seen: list[list[Any]] = []
        self.byes: list[int] = []  # how many acks had come before
        self.gone = 0
        self.asks = False

    def turn(self) -> None:
        self.listener.tick()
        for event in self.listener.receive():
            if isinstance(event, Hello):
                self.hellos.append(event.peer.body)
                self.peer = event.peer
                self.listener.welcome(event.peer, {"asks": True} if self.asks else {})
            elif isinstance(event, Gone):
                self.gone += 1
                self.peer = None
            elif isinstance(event, Arrived):
                self.take(*said(event.message))

    def take(self, kind: str, body: list[Any]) -> None:
        if kind == "bye":
            self.byes.append(len(self.acks))
        elif kind == "acks":
            self.acks += [[body[0], body[1], *row] for row in body[2]]
        elif kind == "gap-seen":
            self.gaps_seen.append(body)
        elif kind == "query":
            self.queries.append(body)

    def until(self, condition: Callable[[], object], what: str = "the condition") -> None:
        def turn() -> None:
            self.listener.socket.poll(20)
            self.turn()

        wait_until(condition, lambda: f"{what}; acks so far: {self.acks}", seconds=WAIT_S, turn=turn)

    def until_connected(self) -> None:
        self.until(lambda: self.peer is not None, "a hello")

    def send(self, kind: str, *body: Any) -> None:
        assert self.peer is not None
        assert self.listener.send(self.peer.identity, plain(kind, *body))

    def end_session(self) -> None:
        assert self.peer is not None
        self.listener.reset(self.peer, "the test says so")

    def acked(self) -> list[tuple[str, int, int]]:
        """(key, seq, verdict) in the order of arrival."""
        return [(row[2], row[3], row[5]) for row in self.acks]


class Replica:
    """A `HandlerRole` in a thread of the test's process."""

    def __init__(self, plan: Plan, name: str) -> None:
        self.stop = threading.Event()
        self.exit_code: int | None = None
        self.error: BaseException | None = None
        self._role = HandlerRole(RoleArguments(config=Path("unused"), handler=name), plan)
        self._thread = threading.Thread(target=self._run, name="replica")
        self._thread.start()

    def _run(self) -> None:
        try:
            self.exit_code = self._role.run(self.stop)
        except BaseException as error:
            self.error = error

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()


class Scene:
    """A worker, and replicas made of plug-in sources."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.replicas: list[Replica] = []
        self.workers: list[Worker] = []

    def start(
        self, source: str, *, workers: int = 1, drain: float = 10, **options: Any
    ) -> tuple[Worker, Replica]:
        file = self.folder / "plugin.py"
        file.write_text("from deltawire import Dead, Handler, Requeue, Retry\n" + textwrap.dedent(source))
        handler = {"name": "group", "run": str(file), **options}
        return self.start_config(handler, workers=workers, drain=drain)

    def start_config(
        self, handler: dict[str, Any], *, workers: int = 1, drain: float = 10
    ) -> tuple[Worker, Replica]:
        config = {
            "version": 1,
            "store": {"dir": str(self.folder / "state")},
            "runtime": {
                "dir": str(self.folder), "heartbeat": 0.5, "workers": workers, "drain_deadline": drain
            },
            "handlers": [handler],
        }  # fmt: skip
        plan = Plan(parse(config))
        self.workers = [Worker(self.context, plan, number) for number in range(workers)]
        self.replicas.append(Replica(plan, handler["name"]))
        return self.workers[0], self.replicas[0]

    def close(self) -> None:
        for replica in self.replicas:
            replica.stop.set()
        for replica in self.replicas:
            replica.join()
        for worker in self.workers:
            worker.listener.close()
        self.context.term()


@pytest.fixture
def scene() -> Iterator[Scene]:
    # Not tmp_path: a unix socket's path ends at 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="dw-"))
    scene = Scene(folder)
    try:
        yield scene
    finally:
        scene.close()
        shutil.rmtree(folder)


def row(key: str, seq: int, kind: str = "A", *, attempt: int = 1, fence: int = 1, **fields: Any) -> list[Any]:
    namespace, _, name = key.partition("/")
    body = b'{"metadata":{"namespace":"%b","name":"%b"}}' % (namespace.encode(), name.encode())
    return [
        seq, key, kind, f"uid-{name}", str(seq), int(time.time() * 1e6), attempt, fence,
        fields.get("flags", 0), fields.get("object", body), fields.get("old"),
    ]  # fmt: skip


PODS = "default/pods"

RECORDING = """
import pathlib
handler = Handler("group")
seen = pathlib.Path(__file__).parent / "seen"

def record(text):
    with seen.open("a") as file:
        file.write(text + "\\n")
"""

GATED = (
    RECORDING
    + """
import time
gate = seen.parent / "gate"

@handler.on_add("pods")
def added(pod, event):
    record("begin " + event.key)
    while not gate.exists():
        time.sleep(0.005)
    record("end " + event.key)
"""
)


ONE_AT_A_TIME = GATED.replace('Handler("group")', 'Handler("group", workers=1)')


def lines(scene: Scene) -> list[str]:
    path = scene.folder / "seen"
    return path.read_text().splitlines() if path.exists() else []


def test_events_are_handled_and_acknowledged(scene: Scene) -> None:
    worker, _ = scene.start(
        RECORDING
        + """
@handler.on_add("pods")
def added(pod, event):
    record(f"add {pod['metadata']['name']} {event.uid} {event.cluster} {event.fence}")
"""
    )
    worker.until_connected()
    worker.send("events", PODS, 2, [row("ns/a", 7, fence=3)])
    worker.until(lambda: worker.acks, "an ack")
    assert worker.acks == [[PODS, 2, "ns/a", 7, 3, 0, 0, ""]]
    assert lines(scene) == ["add a uid-a default 3"]


def test_a_hello_says_what_the_group_wants(scene: Scene) -> None:
    worker, _ = scene.start(GATED, delivery="every", resync="30s", window=9, attempts_max=3)
    worker.until_connected()
    assert worker.hellos == [
        {
            "group": "group",
            "delivery": "every",
            "informers": [PODS],
            "resync_s": 30.0,
            "window": 9,
            "window_bytes": 16 * 1024 * 1024,
            "attempts_max": 3,
            "old": False,
            "held": [],
                "late": True,
        }
    ]


def test_events_nobody_asked_for_are_acknowledged_at_once(scene: Scene) -> None:
    worker, _ = scene.start(GATED)
    worker.until_connected()
    worker.send("events", PODS, 0, [row("ns/a", 1, "D"), row("ns/b", 2, "U")])
    worker.until(lambda: len(worker.acks) == 2, "two acks")
    assert worker.acked() == [("ns/a", 1, 0), ("ns/b", 2, 0)]
    assert lines(scene) == []


def test_a_reconnected_replica_names_the_calls_it_is_still_in(scene: Scene) -> None:
    worker, _ = scene.start(GATED, workers=1)
    worker.until_connected()
    worker.send("events", PODS, 0, [row("ns/a", 1, fence=4)])
    worker.until(lambda: lines(scene) == ["begin ns/a"], "the call")
    worker.end_session()
    worker.until(lambda: len(worker.hellos) == 2, "a second hello")
    assert worker.hellos[1]["held"] == [[PODS, 0, "ns/a", 1, 4]]
    (scene.folder / "gate").touch()
    worker.until(lambda: worker.acks, "the ack, in the new session")
    assert worker.acks == [[PODS, 0, "ns/a", 1, 4, 0, 0, ""]]
    assert lines(scene) == ["begin ns/a", "end ns/a"]


def test_a_lost_session_drops_what_has_not_begun(scene: Scene) -> None:
    worker, _ = scene.start(ONE_AT_A_TIME)
    worker.until_connected()
    worker.send("events", PODS, 0, [row("ns/a", 1), row("ns/b", 2), row("ns/c", 3)])
    worker.until(lambda: lines(scene) == ["begin ns/a"], "the first call")
    worker.end_session()
    worker.until(lambda: len(worker.hellos) == 2, "a second hello")
    assert [held[2] for held in worker.hellos[1]["held"]] == ["ns/a"]
    (scene.folder / "gate").touch()
    worker.until(lambda: worker.acks, "the ack of the held call")
    # The worker sends the dropped ones again, here only one of them: the other must not be called.
    worker.send("events", PODS, 0, [row("ns/c", 3, attempt=2)])
    worker.until(lambda: len(worker.acks) == 2, "the ack of the repeated event")
    assert worker.acked() == [("ns/a", 1, 0), ("ns/c", 3, 0)]
    assert lines(scene) == ["begin ns/a", "end ns/a", "begin ns/c", "end ns/c"]


def test_a_drained_replica_ends_its_calls_and_begins_no_other(scene: Scene) -> None:
    worker, replica = scene.start(ONE_AT_A_TIME)
    worker.until_connected()
    worker.send("events", PODS, 0, [row("ns/a", 1), row("ns/b", 2)])
    worker.until(lambda: lines(scene) == ["begin ns/a"], "the first call")
    replica.stop.set()
    worker.until(lambda: worker.acks, "the event that was given back")
    worker.send("events", PODS, 0, [row("ns/c", 3)])
    worker.until(lambda: len(worker.acks) == 2, "the event that came too late")
    assert replica.is_running, "it left while a call was running"
    (scene.folder / "gate").touch()
    worker.until(lambda: len(worker.acks) >= 3 and not replica.is_running, "the acks and the end")
    # What had not begun was given back, not failed: the error is empty.
    assert worker.acks[:2] == [[PODS, 0, key, seq, 1, 1, 250, ""] for key, seq in (("ns/b", 2), ("ns/c", 3))]
    assert worker.acked()[2:] == [("ns/a", 1, 0)]
    assert lines(scene) == ["begin ns/a", "end ns/a"]
    assert replica.exit_code == 0
    worker.until(lambda: worker.byes, "a goodbye")
    assert worker.byes == [3], "its last word comes once, after the acks"


def test_a_drain_that_takes_too_long_ends_with_code_4(scene: Scene) -> None:
    worker, replica = scene.start(GATED, drain=0.2)
    worker.until_connected()
    worker.send("events", PODS, 0, [row("ns/a", 1)])
    worker.until(lambda: lines(scene) == ["begin ns/a"], "the call")
    replica.stop.set()
    replica.join()
    assert replica.exit_code == 4
    for _ in range(10):
        worker.listener.socket.poll(20)
        worker.turn()
    assert worker.byes == [], "the call may go on"
    (scene.folder / "gate").touch()


def test_a_call_over_its_deadline_ends_the_process(scene: Scene) -> None:
    worker, replica = scene.start(GATED, deadline="100ms")
    worker.until_connected()
    worker.send("events", PODS, 0, [row("ns/a", 1)])
    worker.until(lambda: lines(scene) == ["begin ns/a"], "the call")
    threading.Timer(2.5, (scene.folder / "gate").touch).start()
    replica.join()
    assert isinstance(replica.error, HandlerFailed)
    assert "ns/a" in str(replica.error)
    assert "plugin.py" in str(replica.error)


def test_a_timer_over_its_deadline_ends_the_process(scene: Scene) -> None:
    sweeping = GATED + '''
@handler.timer(every_s=60, deadline_s=0.1)
def sweep():
    record("sweep")
    while not gate.exists():
        time.sleep(0.005)
'''
    worker, replica = scene.start(sweeping)
    worker.until_connected()
    worker.until(lambda: replica.error is not None, "the end of the process")
    (scene.folder / "gate").touch()
    replica.join()
    assert isinstance(replica.error, HandlerFailed)
    assert "the timer" in str(replica.error) and "plugin.py" in str(replica.error)


def test_failures_say_when_to_come_back_and_why(scene: Scene) -> None:
    worker, _ = scene.start(
        RECORDING
        + """
@handler.on_add("pods")
def added(pod):
    name = pod["metadata"]["name"]
    if name == "bug":
        return pod["spec"]
    if name == "busy":
        raise Retry("busy", after_s=2.5)
    if name == "hopeless":
        raise Dead("no use")
    return Requeue(after_s=30)
""",
        attempts_max=4,
    )
    worker.until_connected()
    rows = [
        row("ns/bug", 1, attempt=3),
        row("ns/busy", 2),
        row("ns/hopeless", 3),
        row("ns/fine", 4),
        row("ns2/bug", 5, attempt=4),
    ]
    worker.send("events", PODS, 0, rows)
    worker.until(lambda: len(worker.acks) == 5, "five acks")
    by_key = {ack[2]: [*ack[5:7], ack[7].partition("\n")[0]] for ack in worker.acks}
    assert by_key == {
        "ns/bug": [1, 20, "KeyError: 'spec'"],
        "ns/busy": [1, 2500, "busy"],
        "ns/hopeless": [2, 0, "no use"],
        "ns/fine": [1, 30_000, ""],
        "ns2/bug": [1, 40, "KeyError: 'spec'"],  # the worker counts, and makes it a dead letter
    }


LOOKING_UP = (
    RECORDING
    + """
@handler.reconcile("pods")
def reconcile(key, ctx):
    pod = ctx.lister().get_key(key)
    record(f"{key} {pod['spec'] if pod else None}")
"""
)


def store_shard(folder: Path, *, listed: bool) -> None:
    """A shard's files as a worker makes them, with one object."""
    with lmdb.open(str(folder), max_dbs=DBS_MAX) as env:
        dbs = {name: env.open_db(name) for name in PLAIN_DBS}
        stored = Row("ns/a", "u", "1", 1, 1, 0, b'{"spec":{"x":1}}')
        with env.begin(write=True) as txn:
            txn.put(text_key("ns/a"), pack_row(stored, with_key=False), db=dbs[OBJECTS])
            txn.put(stream_key("*"), encode(StreamState(scope="listed" if listed else "")), db=dbs[META])


def test_a_cache_that_was_never_listed_is_waited_for(scene: Scene) -> None:
    """Else a reconcile would take what is not listed yet for deleted."""
    (scene.folder / "state").mkdir()
    (scene.folder / "state" / "deltawire.json").touch()
    worker, _ = scene.start(LOOKING_UP)
    worker.until_connected()
    worker.send("events", PODS, shard_of("ns/a", 4), [row("ns/a", 1)])
    for shard in range(4):
        store_shard(scene.folder / f"cache-{shard}", listed=shard != 3)
        worker.send("opened", PODS, shard, 4, str(scene.folder / f"cache-{shard}"))
    deadline = time.monotonic() + 0.5
    worker.until(lambda: time.monotonic() > deadline)
    assert worker.acks == []
    # Another folder: LMDB forbids this process to open the same one for writing. A replaced cache is found too.
    store_shard(scene.folder / "cache-4", listed=True)
    worker.send("opened", PODS, 3, 4, str(scene.folder / "cache-4"))
    worker.until(lambda: worker.acks, "the ack")
    assert lines(scene) == ["ns/a {'x': 1}"]


def test_a_cache_that_nobody_keeps_is_named(scene: Scene) -> None:
    worker, _ = scene.start(LOOKING_UP.replace("ctx.lister()", 'ctx.lister("nodes")'))
    worker.until_connected()
    worker.send("events", PODS, 0, [row("ns/a", 1)])
    worker.until(lambda: worker.acks, "the ack")
    verdict, after_ms, error = worker.acks[0][5:]
    assert [verdict, after_ms, error.partition("\n")[0]] == [
        1, 5, "StateError: nothing caches default/nodes (say so: Handler(…, reads=['nodes']))"
    ]  # fmt: skip


def test_a_cache_is_read_by_mmap_where_the_worker_says_it_is(scene: Scene) -> None:
    worker, _ = scene.start(LOOKING_UP)
    worker.until_connected()
    for shard in range(4):
        store_shard(scene.folder / f"cache-{shard}", listed=True)
        worker.send("opened", PODS, shard, 4, str(scene.folder / f"cache-{shard}"))
    worker.send("events", PODS, shard_of("ns/a", 4), [row("ns/a", 1)])
    worker.until(lambda: worker.acks, "the ack")
    assert lines(scene) == ["ns/a {'x': 1}"]
    assert worker.queries == []


def test_a_cache_that_cannot_be_opened_is_read_by_asking_its_worker(scene: Scene) -> None:
    worker, _ = scene.start(LOOKING_UP)
    worker.until_connected()
    shard = shard_of("ns/a", 4)
    worker.send("opened", PODS, shard, 4, str(scene.folder / "another host's"))
    worker.send("events", PODS, shard, [row("ns/a", 1)])
    worker.until(lambda: worker.queries, "a query")
    [number, *query] = worker.queries[0]
    assert query == [PODS, shard, "get", ["ns/a"]]
    worker.send("rows", number, [["ns/a", "1", b'{"spec":{"x":2}}']], "")
    worker.until(lambda: worker.acks, "the ack")
    assert lines(scene) == ["ns/a {'x': 2}"]


def test_reconciles_of_owned_objects_from_two_workers_do_not_overlap(scene: Scene) -> None:
    source = RECORDING + textwrap.dedent(
        """
        import time
        @handler.reconcile("pods", owner="rs")
        def reconcile(key):
            record("begin " + key)
            time.sleep(0.02)
            record("end " + key)
        """
    )
    scene.start(source, workers=2)
    one, two = scene.workers
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "controller": True}
    body = msgspec.json.encode({"metadata": {"ownerReferences": [owner]}})
    for worker in (one, two):
        worker.until_connected()
    for n in range(10):
        for number, worker in enumerate((one, two)):
            worker.send("events", PODS, number, [row(f"ns/{number}-{n}", n, object=body)])
            worker.turn()
    for worker in (one, two):
        worker.until(lambda worker=worker: len(worker.acks) == 10, "ten acks")
    assert lines(scene) == ["begin ns/web", "end ns/web"] * (len(lines(scene)) // 2)
    assert len(lines(scene)) < 40, "calls that waited for the same key were merged"


def test_a_command_handles_events_and_acknowledges(scene: Scene) -> None:
    audit = Path(__file__).parents[2] / "examples" / "audit_lines.py"
    notes = scene.folder / "notes"
    worker, replica = scene.start_config(
        {
            "name": "audit",
            "command": [sys.executable, str(audit)],
            "on": ["pods"],
            "env": {"AUDIT_FILE": str(notes)},
        }
    )
    worker.until_connected()
    worker.send("events", PODS, 1, [row("ns/a", 1), row("ns/b", 2, "D")])
    worker.until(lambda: len(worker.acks) == 2, "the acks")
    assert sorted(worker.acked()) == [("ns/a", 1, 0), ("ns/b", 2, 0)]
    assert len(notes.read_text().splitlines()) == 2
    replica.stop.set()
    replica.join()
    assert replica.exit_code == 0


def test_a_command_that_ends_ends_the_process(scene: Scene) -> None:
    _, replica = scene.start_config(
        {"name": "brief", "command": [sys.executable, "-c", "raise SystemExit(5)"], "on": ["pods"]}
    )
    replica.join()
    assert isinstance(replica.error, HandlerFailed)
    assert str(replica.error).startswith("handler 'brief': its process ended with exit code 5;")


def notice(shard: int, number: int, lost_from: str = "100", generation: int = 2) -> list[Any]:
    return [PODS, shard, number, "relist", "*", generation, lost_from, "200", 1]


def test_a_gap_is_told_once_a_list_to_who_asked_for_it_and_seen_in_each_shard(scene: Scene) -> None:
    told = scene.folder / "told"
    source = """
import pathlib
handler = Handler("group", delivery="every")
@handler.on_gap("pods")
def lost(gap):
    with pathlib.Path(%r).open("a") as file:
        file.write(f"{gap.resource} {gap.namespace!r} {gap.reason} {gap.lost_from} {gap.version}\\n")
    if gap.lost_from == "90":
        raise ValueError("no use")
@handler.reconcile("pods")
def never(key, ctx):
    raise SystemExit(key)
"""
    worker, replica = scene.start(source % str(told))
    worker.until_connected()
    for shard, number, lost_from in ((0, 7, "100"), (1, 8, "100"), (2, 9, "90"), (3, 10, "95")):
        worker.send("gap", *notice(shard, number, lost_from))
    worker.until(lambda: len(worker.gaps_seen) == 4, "four notices to be seen")
    assert sorted(worker.gaps_seen) == [[PODS, 0, 7], [PODS, 1, 8], [PODS, 2, 9], [PODS, 3, 10]]
    assert told.read_text().splitlines() == ["pods '' relist 100 200", "pods '' relist 90 200"]
    assert replica.is_running


def test_a_gap_that_nobody_asked_for_is_logged_and_seen(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    worker, _ = scene.start(GATED, delivery="every")
    worker.until_connected()
    worker.send("gap", *notice(0, 7))
    worker.until(lambda: worker.gaps_seen, "the notice to be seen")
    assert "history was lost between version 100 and 200" in caplog.text
