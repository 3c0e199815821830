"""Caches read from another host: what a reader's key opens, and what happens when paths and workers fail."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deltawire.common.clock import SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import TransportError
from deltawire.common.wire.codec import plain
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.keys import Allowed, KeyFolder
from deltawire.common.wire.link import Arrived, Link, Lost
from deltawire.common.wire.messages.group import Rows
from deltawire.common.wire.network import open_context
from deltawire.handlers.core import CorePlan
from deltawire.handlers.following import FollowedShard
from deltawire.handlers.reader import Reader
from tests.behaviour.test_informer_worker import NODES, PODS, Broker, Rig
from tests.support.keyed import free_port, make_keys
from tests.support.messages import said
from tests.support.patience import wait_until
from tests.support.tcp_proxy import TcpProxy


class Core:
    """A worker with keys, whose broker is played by a thread; its cache holds two pods and a node."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.keys = make_keys(folder / "keys", ["worker-0", "fifo", "handler/alerts", "cli"])
        made = make_keys(folder / "more", ["reader/ann", "reader/all"])
        for owner in ("reader/ann", "reader/all"):
            self.keys.keep_secret(owner, made.secret(owner))
        limited = {"reader/ann": frozenset({PODS})}
        self.keys.allow(
            [*self.keys.allowed(), *(Allowed(e.owner, e.key, limited.get(e.owner)) for e in made.allowed())]
        )
        self.port = free_port()
        endpoints = {"worker-0": f"127.0.0.1:{self.port}"}
        self.rig = Rig(folder, network={"keys": str(self.keys.folder), "endpoints": endpoints})
        # The same port through a proxy's address.
        there = self.rig.plan.config.network
        self.plan = CorePlan(
            _with(self.rig.plan, type(there)(keys=there.keys, endpoints={"worker-0": f"{host}:{self.port}"}))
        )
        self.worker = self.rig.start()
        self.broker: Broker = self.rig.broker()
        self.broker.open()
        self.broker.open(informer=NODES)
        self.broker.list("100", ("/n", "u3", "52"), informer=NODES)
        # Deltas are numbered in each shard.
        self.broker.number = 0
        self.broker.list("100", ("a/k", "u1", "50"), ("a/l", "u2", "51"))
        stored = {(NODES, 3), (PODS, 4)}
        self.rig.until(lambda: stored <= {(a[0], a[3]) for a in self.broker.said("ack")}, "the lists to be stored")
        self._readers: list[Any] = []
        self._to_do: deque[Callable[[], object]] = deque()
        self.go()

    def go(self) -> None:
        """Broker and worker go on while the test waits."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()

    def stand(self) -> None:
        self._stop.set()
        self._thread.join()

    def do(self, action: Callable[[], object]) -> None:
        """In the thread that has the sockets."""
        self._to_do.append(action)

    def _turn(self) -> None:
        while not self._stop.is_set():
            while self._to_do:
                self._to_do.popleft()()
            self.rig.turn()

    def reader(self, owner: str) -> Reader:
        self._readers.append(Reader(self.plan, owner, clock=SystemClock()))
        return self._readers[-1]

    def shard(self, owner: str, informer: str = PODS) -> FollowedShard:
        return FollowedShard(self.reader(owner), 0, informer, 0)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        self.stand()
        self.rig.close()


def _with(plan: Plan, network: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(plan.config, network=network)


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    made = Core(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("owner", ["reader/ann", "reader/all", "cli"])
def test_a_readers_key_reads_a_cache_page_by_page_and_follows_it(core: Core, owner: str) -> None:
    shard = core.shard(owner)
    first, after = shard.page("a/", "", 1)
    second, end = shard.page("a/", after, 1)
    assert [row.key for row in [*first, *second]] == ["a/k", "a/l"]
    assert (after, end) == ("a/k", "")
    rows, seq = shard.changes_after(0)
    assert [(row.key, row.uid, row.version) for row in rows] == [("a/k", "u1", "50"), ("a/l", "u2", "51")]
    core.do(lambda: core.broker.pop(("U", "a/k", "u1", "160")))
    wait_until(lambda: shard.changes_after(seq)[0], "the change", seconds=20)
    assert shard.count() == 2
    assert shard.gone(["a/k", "a/x"]) == ["a/x"]


def test_a_reader_gets_no_byte_of_an_informer_that_its_key_does_not_name(core: Core) -> None:
    limited = core.reader("reader/ann")
    for verb, arguments in (("get", ["/n"]), ("list", ["", "", 10]), ("keys", ["", "", 10]), ("changes", [0, 10])):
        with pytest.raises(TransportError, match=f"may not read {NODES}"):
            limited.ask(0, NODES, 0, verb, *arguments)
    assert FollowedShard(core.reader("reader/all"), 0, NODES, 0).count() == 1
    proofs = [[informer, "*", [1, 1, 2**50], [0]] for informer in (PODS, NODES)]
    core.do(lambda: core.broker.send("proof", proofs))
    wait_until(lambda: limited.freshness.of(PODS).as_of_s is not None, "a proof", seconds=20)
    assert limited.freshness.of(NODES).as_of_s is None


@pytest.mark.parametrize("what", ["acks", "gap-seen"])
def test_a_reader_acknowledges_nothing_and_what_it_sends_ends_its_session(core: Core, what: str) -> None:
    contexts = [open_context(core.plan, owner) for owner in ("handler/alerts", "reader/all")]
    hello = {"group": "alerts", "informers": [PODS], "delivery": "latest", "held": []}
    heard: list[tuple[str, list[Any]]] = []
    endpoint = core.plan.endpoint("worker-0")
    links = [
        Link(context, endpoint, new_identity(*me), body, clock=SystemClock(), silent_s=60.0)
        for context, me, body in zip(
            contexts, (("handler", "alerts-0"), ("cli", "cli-1")), (lambda: hello, dict), strict=True
        )
    ]

    def turn() -> list[Any]:
        events = [*links[0].tick(), *links[0].receive()]
        heard.extend(said(event.message) for event in events if isinstance(event, Arrived))
        return [*links[1].tick(), *links[1].receive()]

    try:
        lost: list[Any] = []
        wait_until(lambda: any(kind == "events" for kind, _ in heard), "events", seconds=20, turn=turn)
        wait_until(lambda: links[1].is_open, "the reader", seconds=20, turn=turn)
        events = [event for kind, body in heard if kind == "events" for event in body[2]]
        body = [[[e[1], e[0], e[7], 0, 0, ""] for e in events]] if what == "acks" else [1]
        assert links[1].send(plain(what, PODS, 0, *body))
        wait_until(
            lambda: any(isinstance(e, Lost) for e in lost), "the end", seconds=20, turn=lambda: lost.extend(turn())
        )
        group = core.worker.informers[PODS].shards[0].groups["alerts"]
        assert len(group.in_flight) == len(events) == 2
        assert core.worker.status()["malformed"] >= 1
    finally:
        for link in links:
            link.close()
        for context in contexts:
            context.destroy(linger=0)


def test_a_key_that_is_revoked_or_narrowed_reads_no_more(core: Core) -> None:
    shard = core.shard("reader/all")
    assert shard.count() == 2
    folder = KeyFolder(core.keys.folder)
    key = folder.secret("reader/all").public
    others = [entry for entry in folder.allowed() if entry.key != key]
    folder.allow([*others, Allowed("reader/all", key, frozenset({NODES}))])

    def is_refused() -> bool:
        try:
            shard.count()
        except TransportError as error:
            return "may not read" in str(error)
        return False

    wait_until(is_refused, "the narrowed key to be refused", seconds=20)


def test_a_worker_that_comes_back_is_asked_again_by_who_waits(core: Core) -> None:
    shard = core.shard("cli")
    assert shard.count() == 2
    core.stand()
    core.rig.stop()
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(shard.count()))
    asking.start()
    core.worker = core.rig.start()
    core.broker.identity = b""
    core.broker.open()
    core.go()
    asking.join(30)
    assert answers == [2]


def test_a_path_that_is_half_open_ends_a_question_in_time_and_serves_the_next_one(tmp_path: Path) -> None:
    core = Core(tmp_path, "127.0.0.2")
    try:
        with TcpProxy([core.port]) as proxy:
            reader = core.reader("cli")
            shard = FollowedShard(reader, 0, PODS, 0)
            assert shard.count() == 2
            proxy.hold(core.port)
            reader.queries._timeout_s = 1.0
            with pytest.raises(TransportError, match="worker 0 did not answer about shard 0 of dev/pods in time"):
                shard.count()
            proxy.hold(core.port, held=False)
            reader.queries._timeout_s = 30.0
            assert shard.count() == 2
            assert isinstance(reader.ask(0, PODS, 0, "get", "a/k"), Rows)
    finally:
        core.close()
