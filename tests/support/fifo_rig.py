"""A real broker on real sockets, with a reflector and workers that a test moves by hand."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import zmq

from deltawire.common.clock import SystemClock
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.wire.codec import plain
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.link import Arrived, Link, LinkEvent, Lost, Opened, Refused
from deltawire.fifo.main import Fifo
from tests.support.messages import said
from tests.support.patience import wait_until

INFORMER = "dev/pods"
CLUSTER_ID = "c1"
HEARTBEAT_S = 0.5
DEADLINE_S = 10.0


class Rig:
    """One config, one runtime folder, one ZeroMQ context for all fakes."""

    def __init__(self, folder: Path, shards: int = 1) -> None:
        self.shards = shards
        # Unix socket paths are short, pytest's folders are not.
        self.runtime_dir = Path(tempfile.mkdtemp(prefix="dw-"))
        self.config = folder / "config.json"
        self.config.write_bytes(
            msgspec.json.encode(
                {
                    "version": 1,
                    "clusters": {"dev": {}},
                    "store": {"dir": str(folder / "state"), "shards": shards},
                    "runtime": {"dir": str(self.runtime_dir), "heartbeat": HEARTBEAT_S, "drain_deadline": 2},
                    "informers": [{"resource": "pods"}, {"resource": "nodes"}],
                }
            )
        )
        self.plan = Plan(load(self.config))
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.heartbeat = Heartbeat(self.context, HEARTBEAT_S)
        self.heartbeat.start()
        self.peers: list[Fake] = []
        self._process: subprocess.Popen[bytes] | None = None

    def reflector(
        self, name: str = "reflector-0", informers: tuple[str, ...] = (INFORMER,)
    ) -> "FakeReflector":
        return FakeReflector(self, name, informers)

    def worker(
        self,
        name: str = "worker-0",
        shards: tuple[int, ...] | None = None,
        informers: tuple[str, ...] = (INFORMER,),
    ) -> "FakeWorker":
        return FakeWorker(self, name, shards if shards is not None else tuple(range(self.shards)), informers)

    @contextmanager
    def broker(self) -> Iterator[Fifo]:
        """The broker in a thread of this process."""
        role, stop = Fifo(self.plan, "fifo"), threading.Event()
        thread = threading.Thread(target=role.run, args=(stop,))
        thread.start()
        try:
            yield role
        finally:
            stop.set()
            thread.join(DEADLINE_S)
            assert not thread.is_alive()

    def start_process(self) -> "subprocess.Popen[bytes]":
        """The broker as a process of its own."""
        command = [sys.executable, "-m", "deltawire.fifo", "--config", str(self.config)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        return self._process

    def kill_process(self, sign: int = signal.SIGKILL) -> int:
        assert self._process is not None
        os.kill(self._process.pid, sign)
        return self._process.wait(DEADLINE_S)

    def start_draining(self) -> "subprocess.Popen[bytes]":
        """SIGTERM; the caller waits for the end."""
        assert self._process is not None
        self._process.terminate()
        return self._process

    def turn(self) -> None:
        self.heartbeat.turns += 1
        for peer in self.peers:
            peer.turn()

    def wait(self, condition: Callable[[], Any], what: str = "") -> None:
        """Move all fakes until the condition holds."""

        def turn() -> None:
            self.turn()
            time.sleep(0.005)

        wait_until(condition, what or repr(condition), seconds=DEADLINE_S, turn=turn)

    def settle(self, seconds: float = 0.3) -> None:
        """Move all fakes for a while: long enough for what must not arrive to have arrived."""
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            self.turn()
            time.sleep(0.005)

    def close(self) -> None:
        self.heartbeat.stop()
        for peer in list(self.peers):
            peer.vanish()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self.context.destroy(linger=0)
        shutil.rmtree(self.runtime_dir)


class Fake:
    """A Link that records what it receives."""

    def __init__(self, rig: Rig, socket: str, role: str, name: str) -> None:
        self._rig = rig
        self.arrived: list[tuple[str, list[Any]]] = []
        self.opened = 0
        self.lost: list[str] = []
        self.refused: list[str] = []
        self.identity = new_identity(role, name)
        self.link = Link(
            rig.context,
            rig.plan.endpoint(socket),
            self.identity,
            self.hello,
            clock=SystemClock(),
            silent_s=3 * HEARTBEAT_S,
        )
        rig.heartbeat.watch(self.link)
        rig.peers.append(self)

    def hello(self) -> dict[str, Any]:
        raise NotImplementedError

    def on(self, event: LinkEvent) -> None:
        if isinstance(event, Opened):
            self.opened += 1
        elif isinstance(event, Lost):
            self.lost.append(event.reason)
        elif isinstance(event, Refused):
            self.refused.append(event.reason)
        else:
            self.arrived.append(said(event.message))

    def turn(self) -> None:
        for event in [*self.link.tick(), *self.link.receive()]:
            self.on(event)

    def of_kind(self, kind: str) -> list[list[Any]]:
        return [body for k, body in self.arrived if k == kind]

    def vanish(self) -> None:
        """As a killed process: its connections are gone, nothing is said."""
        if self in self._rig.peers:
            self._rig.peers.remove(self)
            self._rig.heartbeat.forget(self.link)
            self.link.close()

    def freeze(self) -> None:
        """As a stopped process: connected, but neither it nor its heartbeat says anything."""
        self._rig.peers.remove(self)
        self._rig.heartbeat.forget(self.link)

    def thaw(self) -> None:
        self._rig.peers.append(self)
        self._rig.heartbeat.watch(self.link)


class FakeReflector(Fake):
    def __init__(self, rig: Rig, name: str, informers: tuple[str, ...]) -> None:
        self._informers = informers
        self.cluster_id = CLUSTER_ID
        super().__init__(rig, "fifo-in", "reflector", name)

    def hello(self) -> dict[str, Any]:
        return {"streams": [[informer, "*"] for informer in self._informers]}

    def on(self, event: LinkEvent) -> None:
        super().on(event)
        if isinstance(event, Opened):
            self.link.send(plain("cluster", "dev", self.cluster_id))

    def send_list(self, names: list[str], version: str, generation: int, informer: str = INFORMER) -> None:
        self.link.send(plain("begin", informer, "*", generation))
        rows = [["R", "default", name, f"uid-{name}", version, b"{}"] for name in names]
        if rows:
            self.link.send(plain("deltas", informer, "*", "", 1, rows))
        self.link.send(plain("end", informer, "*", generation, len(names), version))

    def deltas(self, *rows: list[Any], informer: str = INFORMER) -> None:
        """Rows: type, name, version and, if wanted, the object."""
        full = [
            [type_, "default", name, f"uid-{name}", version, *(rest or [b"{}"])]
            for type_, name, version, *rest in rows
        ]
        self.link.send(plain("deltas", informer, "*", full[-1][4], 1, full))


@dataclass
class Committed:
    """What a worker's store holds of one shard: it outlives the fake that wrote it."""

    cluster_id: str = CLUSTER_ID
    boot: str = ""
    number: int = 0
    streams: dict[str, list[Any]] = field(default_factory=dict)


class FakeWorker(Fake):
    """Acknowledges at once unless ``acks`` is False; ``applied`` is what it took, in order."""

    def __init__(self, rig: Rig, name: str, shards: tuple[int, ...], informers: tuple[str, ...]) -> None:
        self.shards = [(informer, shard) for informer in informers for shard in shards]
        self.store = {key: Committed() for key in self.shards}
        self.acks = True
        self.applied: list[tuple[str, str, str]] = []
        super().__init__(rig, "fifo-out", "informer", name)

    def hello(self) -> dict[str, Any]:
        return {"shards": [list(shard) for shard in self.shards]}

    def names(self) -> list[str]:
        """As in ``U:a@11``, ``begin:1``, ``end:1``."""
        return [
            f"{type_}:{name}@{version}" if name else f"{type_}:{version}"
            for type_, name, version in self.applied
        ]

    def on(self, event: LinkEvent) -> None:
        super().on(event)
        if not isinstance(event, Arrived):
            return
        kind, body = said(event.message)
        if kind == "open":
            for informer, shard in self.shards:
                if informer == body[0]:
                    self.report(informer, shard)
        elif kind in ("pop", "begin", "end"):
            self.take(kind, body)

    def report(self, informer: str, shard: int) -> None:
        held = self.store[informer, shard]
        self.link.send(plain("shard", informer, shard, held.cluster_id, held.boot, held.number, held.streams))

    def take(self, kind: str, body: list[Any]) -> None:
        informer, shard, boot = body[:3]
        if kind == "pop":
            rows = [(row, name) for _, name, rows in body[5] for row in rows]
            # The groups are by key; their rows' numbers give the order of arrival again.
            rows.sort(key=lambda item: item[0][0])
            self.applied += [(row[1], name, row[4]) for row, name in rows]
            number = body[4]
        else:
            self.applied.append((kind, "", str(body[5])))
            number = body[3]
        if self.acks and number:
            self.commit(informer, shard, boot, number)
            self.link.send(plain("ack", informer, shard, boot, number))

    def commit(self, informer: str, shard: int, boot: str, number: int) -> None:
        held = self.store[informer, shard]
        held.boot, held.number = boot, number
