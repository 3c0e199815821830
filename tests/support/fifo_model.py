"""A small world around the real broker core: an API server, reflectors and workers that are killed at random.

Everything happens in one thread and is decided by one seed. The workers apply what they get by the rules of
docs/design.md (numbers, resume versions, mark and sweep); each rule is a method, so that a test can switch
one off and see the world break.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deltawire.common.meta.keys import key_of, shard_of
from deltawire.fifo.actions import Refuse, Reset, Send, Side, Welcome
from deltawire.fifo.broker import Broker
from deltawire.fifo.engine import ShardQueue
from deltawire.fifo.in_order import InOrderQueue
from tests.support.messages import fields_of, kind_of, tell

INFORMER = "dev/pods"
STREAMS = ["a", "b"]
SHARDS = 2
NAMES = ["k1", "k2", "k3", "k4"]
CLUSTER_ID = "c1"


class BrokenPromise(AssertionError):
    """The store holds what it must not."""


@dataclass
class Server:
    """Objects with uids and versions, and the history that watches read, down to ``compacted``."""

    version: int = 0
    compacted: int = 0
    uids: int = 0
    objects: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    history: list[tuple[int, str, str, str, str]] = field(default_factory=list)

    def change(self, rng: random.Random) -> None:
        namespace, name = rng.choice(STREAMS), rng.choice(NAMES)
        held = self.objects.get((namespace, name))
        self.version += 1
        if held is None:
            self.uids += 1
            uid, type_ = f"u{self.uids}", "A"
        else:
            uid, type_ = held[0], "D" if rng.random() < 0.35 else "U"
        if type_ == "D":
            del self.objects[namespace, name]
        else:
            self.objects[namespace, name] = (uid, self.version)
        self.history.append((self.version, type_, namespace, name, uid))

    def compact(self, rng: random.Random) -> None:
        self.compacted = rng.randint(self.compacted, self.version)
        self.history = [event for event in self.history if event[0] > self.compacted]


class Queue(InOrderQueue):
    def __init__(self, informer: str, shard: int, boot: str, latest_only: bool) -> None:
        super().__init__(informer, shard, boot, high_water=5, latest_only=latest_only)


class ModelEngine:
    def __init__(self, make: Callable[[str, int, str, bool], InOrderQueue]) -> None:
        self._make = make

    def queue(self, informer: str, shard: int, *, boot: str, latest_only: bool) -> ShardQueue:
        return self._make(informer, shard, boot, latest_only)


class Peer:
    """One start of a process. ``inbox``: on the way from the broker; ``outbox``: on the way to it."""

    def __init__(self, world: "World", side: Side, name: str) -> None:
        self.world = world
        self.side = side
        self.name = name
        self.identity = f"{name}.{world.next_nonce()}".encode()
        self.is_open = False
        self.inbox: deque[tuple[str, tuple[Any, ...]]] = deque()
        self.outbox: deque[tuple[str, list[Any]]] = deque()

    @property
    def role(self) -> str:
        return "reflector" if self.side is Side.REFLECTORS else "informer"

    def hello(self) -> dict[str, Any]:
        raise NotImplementedError

    def welcomed(self) -> None: ...

    def lost(self) -> None: ...

    def receive(self, kind: str, body: tuple[Any, ...]) -> None:
        raise NotImplementedError

    def send(self, kind: str, *body: Any) -> None:
        self.outbox.append((kind, list(body)))


@dataclass
class Mirror:
    """One stream in a reflector. ``items`` is what is left of a list's snapshot; None = watching."""

    deltas: int
    position: int = 0
    items: list[tuple[str, str, str, int]] | None = None
    count: int = 0
    generation: int = 0


class Reflector(Peer):
    def __init__(self, world: "World", name: str, streams: list[str]) -> None:
        super().__init__(world, Side.REFLECTORS, name)
        self.streams = streams
        self.mirrors: dict[str, Mirror] = {}
        self.generations = dict.fromkeys(streams, 0)

    def hello(self) -> dict[str, Any]:
        return {"streams": [[INFORMER, stream] for stream in self.streams]}

    def welcomed(self) -> None:
        self.send("cluster", "dev", CLUSTER_ID)

    def lost(self) -> None:
        self.mirrors.clear()

    def receive(self, kind: str, body: tuple[Any, ...]) -> None:
        stream = body[1]
        if kind == "start":
            _, _, resume, _, generation, deltas, _ = body
            mirror = self.mirrors[stream] = Mirror(deltas)
            self.generations[stream] = max(self.generations[stream], generation)
            if resume:
                mirror.position = int(resume)
            else:
                self.begin_list(stream, mirror)
        elif kind == "stop":
            self.mirrors.pop(stream, None)
        elif kind == "credit" and stream in self.mirrors:
            self.mirrors[stream].deltas += body[2]

    def begin_list(self, stream: str, mirror: Mirror) -> None:
        self.world.lists += 1
        server = self.world.server
        mirror.items = [
            (namespace, name, uid, version)
            for (namespace, name), (uid, version) in sorted(server.objects.items())
            if namespace == stream
        ]
        mirror.count = len(mirror.items)
        mirror.position = server.version
        mirror.generation = self.generations[stream]
        self.generations[stream] += 1
        self.send("begin", INFORMER, stream, mirror.generation)

    def work(self, rng: random.Random) -> None:
        for stream, mirror in self.mirrors.items():
            if rng.random() < 0.5:
                continue
            if mirror.items is not None:
                self._list_on(rng, stream, mirror)
            elif mirror.position < self.world.server.compacted or self.world.happens(0.04):
                self.begin_list(stream, mirror)
            else:
                self._watch_on(rng, stream, mirror)

    def _list_on(self, rng: random.Random, stream: str, mirror: Mirror) -> None:
        assert mirror.items is not None
        if self.world.happens(0.05):
            self.begin_list(stream, mirror)
            return
        count = min(rng.randint(1, 3), mirror.deltas, len(mirror.items))
        rows = [["R", ns, name, uid, str(version), b"xx"] for ns, name, uid, version in mirror.items[:count]]
        if rows:
            del mirror.items[:count]
            mirror.deltas -= count
            self.send("deltas", INFORMER, stream, "", 1, rows)
        if not mirror.items and rng.random() < 0.5:
            self._list_events(rng, stream, mirror)
        elif not mirror.items:
            mirror.items = None
            self.send("end", INFORMER, stream, mirror.generation, mirror.count, str(mirror.position))

    def _list_events(self, rng: random.Random, stream: str, mirror: Mirror) -> None:
        """A streaming list: what happens before its marker belongs to it."""
        events = self._events(rng, stream, mirror)
        rows = [
            ["D" if type_ == "D" else "R", ns, name, uid, str(version), b"xx"]
            for version, type_, ns, name, uid in events
        ]
        if rows and mirror.position >= self.world.server.compacted:
            mirror.count += sum(row[0] == "R" for row in rows)
            mirror.deltas -= len(rows)
            mirror.position = events[-1][0]
            self.send("deltas", INFORMER, stream, "", 1, rows)

    def _events(
        self, rng: random.Random, stream: str, mirror: Mirror
    ) -> list[tuple[int, str, str, str, str]]:
        history = self.world.server.history
        events = [event for event in history if event[0] > mirror.position and event[2] == stream]
        return events[: min(rng.randint(1, 5), mirror.deltas)]

    def _watch_on(self, rng: random.Random, stream: str, mirror: Mirror) -> None:
        server = self.world.server
        events = self._events(rng, stream, mirror)
        rows = [[type_, ns, name, uid, str(version), b"xx"] for version, type_, ns, name, uid in events]
        if rows:
            mirror.deltas -= len(rows)
            mirror.position = events[-1][0]
            self.send("deltas", INFORMER, stream, str(mirror.position), 1, rows)
        elif mirror.deltas and mirror.position < server.version:
            mirror.position = server.version
            self.send("mark", INFORMER, stream, str(mirror.position))


@dataclass
class Store:
    """A shard on disk: survives its workers. Written in transactions, so never seen half-way."""

    boot: str = ""
    number: int = 0
    objects: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    resume: dict[str, int | None] = field(default_factory=dict)
    floor: dict[str, int] = field(default_factory=dict)
    generation: dict[str, int] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)  # uid → highest version ever held, for the check
    dead: set[str] = field(default_factory=set)  # uids that were held and are gone, for the check

    def state(self) -> dict[str, list[Any]]:
        return {
            stream: [
                str(self.resume[stream]) if self.resume.get(stream) is not None else "",
                str(self.floor.get(stream, "")),
                self.generation.get(stream, 0),
            ]
            for stream in STREAMS
        }

    def move(self) -> None:
        """The disk is lost, and another host's is filled from the archive: all but the open lists and resume
        versions."""
        for stream in self.open:
            self.generation[stream] += 1
        self.open.clear()
        self.seen.clear()
        self.resume.clear()

    def put(self, key: tuple[str, str], uid: str, version: int) -> None:
        if uid in self.dead:
            raise BrokenPromise(f"{key} {uid} was deleted and came back at {version}")
        if version < self.newest.get(uid, 0):
            raise BrokenPromise(f"{key} {uid} went back from {self.newest[uid]} to {version}")
        if key in self.objects and self.objects[key][0] != uid:
            self.remove(key)
        self.newest[uid] = version
        self.objects[key] = (uid, version)

    def remove(self, key: tuple[str, str]) -> None:
        uid, _ = self.objects.pop(key)
        self.dead.add(uid)


class Worker(Peer):
    """The informer's rules, each one a method that a test may switch off."""

    def __init__(self, world: "World", name: str, shards: list[int]) -> None:
        super().__init__(world, Side.WORKERS, name)
        self.shards = shards

    def hello(self) -> dict[str, Any]:
        return {"shards": [[INFORMER, shard] for shard in self.shards]}

    def receive(self, kind: str, body: tuple[Any, ...]) -> None:
        if kind == "open":
            for shard in self.shards:
                store = self.world.stores[shard]
                self.send("shard", INFORMER, shard, CLUSTER_ID, store.boot, store.number, store.state())
            return
        shard, boot = body[1], body[2]
        if self.world.owners.get(shard) is not self:
            return  # another worker has opened the store: meta.owner forbids the transaction
        store = self.world.stores[shard]
        if kind == "pop":
            number = body[4]
            self.pop(store, boot, body[5], body[6])
        else:
            number = body[3]
            if not self.is_applied(store, boot, number):
                (self.begin if kind == "begin" else self.end)(store, *body[4:])
        if number:
            if not self.is_applied(store, boot, number):
                self.note_number(store, boot, number)
            self.send("ack", INFORMER, shard, boot, number)

    def note_number(self, store: Store, boot: str, number: int) -> None:
        store.boot, store.number = boot, number

    def is_applied(self, store: Store, boot: str, number: int) -> bool:
        return store.boot == boot and number <= store.number

    def is_below_resume(self, store: Store, stream: str, version: int) -> bool:
        resume = store.resume.get(stream)
        if resume is None and stream not in store.open:
            resume = store.floor.get(stream)
        return resume is not None and version <= resume

    def is_stale(self, store: Store, key: tuple[str, str], uid: str, version: int) -> bool:
        held = store.objects.get(key)
        return held is not None and held[0] == uid and version < held[1]

    def pop(self, store: Store, boot: str, groups: list[Any], marks: list[tuple[str, str]]) -> None:
        reached: dict[str, int] = {}
        for namespace, name, rows in groups:
            for number, type_, stream, uid, version, _, _ in rows:
                if not self.is_applied(store, boot, number):
                    reached[stream] = max(reached.get(stream, 0), int(version))
                    self.row(store, (namespace, name), type_, stream, uid, int(version))
        for stream, version in [*reached.items(), *((s, int(v)) for s, v in marks)]:
            held = store.resume.get(stream)
            if held is not None:
                store.resume[stream] = max(held, version)
            if stream not in store.open:
                store.floor[stream] = max(store.floor.get(stream, 0), version)

    def row(
        self, store: Store, key: tuple[str, str], type_: str, stream: str, uid: str, version: int
    ) -> None:
        if type_ != "R" and self.is_below_resume(store, stream, version):
            return
        if self.is_stale(store, key, uid, version):
            return
        if type_ == "D":
            if key in store.objects and store.objects[key][0] == uid:
                store.remove(key)
            return
        store.put(key, uid, version)
        if stream in store.open:
            store.seen[key] = store.open[stream]

    def begin(self, store: Store, stream: str, generation: int) -> None:
        store.resume[stream] = None
        store.generation[stream] = generation
        store.open[stream] = generation
        for key in [key for key in store.seen if key[0] == stream]:
            del store.seen[key]

    def end(self, store: Store, stream: str, generation: int, _count: int, version: str) -> None:
        if store.open.get(stream) != generation:
            return  # its begin went to a store that is lost
        for key in [key for key in store.objects if key[0] == stream]:
            if store.seen.get(key) != generation:
                store.remove(key)
        del store.open[stream]
        store.resume[stream] = int(version)
        store.floor[stream] = int(version)


class World:
    """``queue`` and ``worker`` may be subclasses in which a rule is switched off. ``archive``: a shard whose disk is
    lost is filled from its archive."""

    def __init__(
        self,
        seed: int,
        *,
        queue: Callable[[str, int, str, bool], InOrderQueue] = Queue,
        worker: type[Worker] = Worker,
        losses: bool = True,
        archive: bool = False,
    ) -> None:
        self.rng = random.Random(seed)
        self.server = Server()
        self.stores = [Store() for _ in range(SHARDS)]
        self.archive = archive
        self.owners: dict[int, Worker] = {}
        self.lists = 0
        self.kills = 0
        self.is_quiet = False
        self.now_s = 0.0
        self._nonces = 0
        self._queue = queue
        self._worker = worker
        self._losses = losses
        self.broker = self._new_broker()
        # Peers that a newer one has replaced while they were stopped: their late messages still arrive.
        self.zombies: list[Peer] = []
        self.reflectors: list[Peer] = []
        self.workers: list[Peer] = []
        self.layout()

    def happens(self, probability: float) -> bool:
        """An accident that only befalls the world before it is left in peace."""
        return not self.is_quiet and self.rng.random() < probability

    def next_nonce(self) -> str:
        self._nonces += 1
        return f"{self._nonces:08x}"

    def layout(self) -> None:
        """One or two reflectors, one or two workers; shards and streams dealt among them."""
        one = self.rng.random() < 0.3
        deals = [STREAMS] if one else [[stream] for stream in STREAMS]
        self.reflectors = [Reflector(self, f"reflector-{i}", streams) for i, streams in enumerate(deals)]
        one = self.rng.random() < 0.3
        numbers = list(range(SHARDS))
        shards = [numbers] if one else [[number] for number in numbers]
        self.workers = [self._worker(self, f"worker-{i}", mine) for i, mine in enumerate(shards)]

    def _new_broker(self) -> Broker:
        return Broker(
            {INFORMER: STREAMS},
            SHARDS,
            boot=self.next_nonce(),
            engine=ModelEngine(self._queue),
        )

    @property
    def peers(self) -> list[Peer]:
        return [*self.reflectors, *self.workers]

    # Messages.

    def perform(self, actions: list[Any]) -> None:
        by_identity = {peer.identity: peer for peer in [*self.peers, *self.zombies]}
        for action in actions:
            peer = by_identity.get(action.identity)
            if peer is None:
                continue
            if isinstance(action, Welcome):
                peer.is_open = True
                if isinstance(peer, Worker):
                    self.owners |= dict.fromkeys(peer.shards, peer)
                peer.welcomed()
            elif isinstance(action, Send):
                if peer.is_open:
                    peer.inbox.append((kind_of(action.message), fields_of(action.message)))
            elif isinstance(action, Reset | Refuse):
                if peer not in self.zombies:
                    raise BrokenPromise(f"{peer.name} was turned away: {action.reason}")
                self.end_session(peer)

    def end_session(self, peer: Peer) -> None:
        peer.is_open = False
        peer.inbox.clear()
        peer.outbox.clear()
        peer.lost()
        self.perform(self.broker.gone(peer.side, peer.identity))

    def to_broker(self, peer: Peer, count: int) -> None:
        while count and peer.outbox:
            count -= 1
            kind, body = peer.outbox.popleft()
            self.perform(tell(self.broker, peer.side, peer.identity, kind, body))

    def to_peer(self, peer: Peer, count: int) -> None:
        while count and peer.inbox:
            count -= 1
            kind, body = peer.inbox.popleft()
            peer.receive(kind, body)

    def connect(self, peer: Peer) -> None:
        self.perform(self.broker.hello(peer.side, peer.identity, peer.role, peer.name, peer.hello()))

    # Accidents.

    def kill_peer(self, peer: Peer) -> Peer:
        """What it had sent may still arrive, in part; a new start takes its place."""
        self.kills += 1
        self.to_broker(peer, self.rng.randint(0, len(peer.outbox)))
        self.end_session(peer)
        return self.replace(peer)

    def replace(self, peer: Peer) -> Peer:
        if isinstance(peer, Worker):
            new: Peer = self._worker(self, peer.name, peer.shards)
            self.workers[self.workers.index(peer)] = new
        else:
            assert isinstance(peer, Reflector)
            new = Reflector(self, peer.name, peer.streams)
            self.reflectors[self.reflectors.index(peer)] = new
        return new

    def supersede(self, peer: Peer) -> None:
        """A successor says hello while the old process is only stopped; what it had sent comes later."""
        self.zombies = [peer]
        self.connect(self.replace(peer))

    def kill_broker(self) -> None:
        """Peers may still take what had reached them; then they drop what they hold and say hello."""
        self.kills += 1
        self.zombies = []
        for peer in self.peers:
            self.to_peer(peer, self.rng.randint(0, len(peer.inbox)))
        self.broker = self._new_broker()
        for peer in self.peers:
            self.end_session(peer)

    def kill_all(self) -> None:
        self.kill_broker()
        self.owners.clear()
        self.layout()

    def lose_shard(self) -> None:
        """The disk of one shard is gone; its worker has died with it."""
        number = self.rng.randrange(SHARDS)
        for peer in [p for p in self.workers if isinstance(p, Worker) and number in p.shards]:
            self.kill_peer(peer)
        self.lose_store(number)

    def lose_store(self, number: int) -> None:
        if self.archive:
            self.stores[number].move()
        else:
            self.stores[number] = Store()

    # Time.

    def step(self) -> None:
        rng = self.rng
        self.now_s += 0.1
        dice = rng.random()
        if dice < 0.40:
            self.server.change(rng)
        elif dice < 0.42:
            self.server.compact(rng)
        elif dice < 0.435:
            self.kill_peer(rng.choice(self.reflectors))
        elif dice < 0.45:
            self.kill_peer(rng.choice(self.workers))
        elif dice < 0.475:
            self.kill_broker()
        elif dice < 0.485:
            self.kill_all()
        elif dice < 0.495:
            self.supersede(rng.choice(self.peers))
        elif dice < (0.52 if self.archive else 0.497) and self._losses:
            self.lose_shard()
        self.turn(rng.random)

    def turn(self, random_: Callable[[], float]) -> None:
        for peer in [*self.peers, *self.zombies]:
            if not peer.is_open:
                if random_() < 0.3 and peer not in self.zombies:
                    self.connect(peer)
                continue
            if isinstance(peer, Reflector) and random_() < 0.5:
                peer.work(self.rng)
            if random_() < 0.5:
                self.to_broker(peer, self.rng.randint(1, 4))
            if random_() < 0.5:
                self.to_peer(peer, self.rng.randint(1, 4))
        if random_() < 0.6:
            self.perform(self.broker.pump())
            self.perform(self.broker.tick(self.now_s))

    def run(self, steps: int) -> None:
        """``steps`` with accidents, then quiet until nothing changes; raises BrokenPromise."""
        for _ in range(steps):
            self.step()
        self.is_quiet = True
        for _ in range(600):
            self.now_s += 0.1
            self.turn(lambda: 0.0)
            if self.is_converged():
                break
        self.check()

    def is_converged(self) -> bool:
        version = self.server.version
        return not self.broker.leased and all(
            store.resume.get(stream) == version for store in self.stores for stream in STREAMS
        )

    def check(self) -> None:
        held: dict[tuple[str, str], tuple[str, int]] = {}
        for number, store in enumerate(self.stores):
            for key, value in store.objects.items():
                if shard_of(key_of(*key), SHARDS) != number:
                    raise BrokenPromise(f"{key} is in shard {number}")
                held[key] = value
        if held != self.server.objects:
            raise BrokenPromise(f"stored {held}\nserver {self.server.objects}")
        if not self.is_converged():
            raise BrokenPromise(f"stands still: {[s.resume for s in self.stores]} at {self.server.version}")
