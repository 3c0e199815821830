"""Two hosts with a broker each, and one queue between them: all of it in one thread, decided by one seed.

Each host has a reflector for all streams and a worker for its shards. The queue may be slow, refuse, lose answers, and
lose what it had confirmed; leases end while their holders do not know it, and brokers stand still and wake up.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from deltawire.common.wire.messages.shard import ShardState
from deltawire.fifo.actions import Reset
from deltawire.fifo.broker import Broker
from deltawire.fifo.relay.broker import RelayBroker
from deltawire.fifo.relay.message import decode
from deltawire.fifo.relay.wants import Consume, Demand, Done, Leave, Met, Prove, Publish, Report, Want
from tests.support.fifo_model import INFORMER, SHARDS, STREAMS, BrokenPromise, Reflector, Store, Worker, World

MESSAGES_MAX = 12


@dataclass
class Servers:
    """One subject for each shard, rows of a bucket, and who has the lease."""

    sequence: int = 0
    subjects: dict[int, list[tuple[int, bytes]]] = field(
        default_factory=lambda: {n: [] for n in range(SHARDS)}
    )
    reports: dict[int, ShardState] = field(default_factory=dict)
    demands: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    revision: int = 0
    holder: str = ""
    refuses: bool = False

    def publish(self, want: Publish) -> int | None:
        """The sequence; 0: refused for now; None: fenced."""
        subject = self.subjects[want.shard]
        last = subject[-1][0] if subject else 0
        if last == want.follows:
            if self.refuses or sum(len(s) for s in self.subjects.values()) >= MESSAGES_MAX:
                return 0
            self.sequence += 1
            subject.append((self.sequence, want.payload))
            return self.sequence
        if subject and decode(subject[-1][1]).id == want.id:
            return last
        return None

    def purge(self, shard: int, sequence: int) -> None:
        subject = self.subjects[shard]
        self.subjects[shard] = [m for m in subject[:-1] if m[0] >= sequence] + subject[-1:]

    def lose(self, rng: random.Random) -> None:
        """What was confirmed is gone."""
        for shard, subject in self.subjects.items():
            self.subjects[shard] = subject[: rng.randint(0, len(subject))]


class Host(World):
    """A broker and its peers. ``calls``: asked of the queue; ``answers``: on the way from it."""

    def __init__(self, both: "Both", number: int, worker: type[Worker]) -> None:
        self.both = both
        self.number = number
        self.calls: deque[Want] = deque()
        self.answers: deque[Callable[[], list[Any]]] = deque()
        self.consumed: dict[int, tuple[int, int, int]] = {}
        self.reign = ""
        self.frozen = 0
        super().__init__(0, worker=worker)
        self.rng, self.server, self.stores, self.archive = both.rng, both.server, both.stores, both.archive

    def layout(self) -> None:
        self.reflectors = [Reflector(self, f"reflector-{self.number}", STREAMS)]
        mine = [shard for shard, place in enumerate(self.both.places) if place == self.number]
        self.workers = [self._worker(self, f"worker-{shard}", [shard]) for shard in mine]

    def next_nonce(self) -> str:
        return self.both.next_nonce()

    def _new_broker(self) -> Broker:
        if self.reign:
            self.both.late += [want for want in self.calls if isinstance(want, Publish)]
        self.calls.clear()
        self.answers.clear()
        self.consumed.clear()
        self.reign = ""
        return RelayBroker({INFORMER: STREAMS}, SHARDS, boot=self.next_nonce())

    @property
    def relay(self) -> RelayBroker:
        assert isinstance(self.broker, RelayBroker)
        return self.broker

    def perform(self, actions: list[Any]) -> None:
        for action in actions:
            if isinstance(action, Reset) and action.reason.startswith("another broker leads"):
                for peer in self.peers:
                    if peer.identity == action.identity:
                        self.end_session(peer)
            else:
                super().perform([action])

    def turn(self, random_: Callable[[], float]) -> None:
        if self.frozen:
            self.frozen -= 1
            return
        super().turn(random_)
        self.calls += self.relay.wants()
        self.lead(random_)
        for _ in range(len(self.calls)):
            want = self.calls.popleft()
            if random_() < 0.4:
                if not self.call(want):
                    self.calls.append(want)
                    break
            else:
                self.calls.appendleft(want)
                break
        self.consume(random_)
        for _ in range(len(self.answers)):
            if random_() < 0.7:
                self.perform(self.answers.popleft()())
            else:
                break

    def lead(self, random_: Callable[[], float]) -> None:
        servers, informer = self.both.servers, self.relay.shared(INFORMER)
        me = f"{self.number}:{self.reign}"
        if self.reign and not informer.leads and not self.answers:
            # It has stepped down.
            self.drop_reign()
        elif not self.reign and not servers.holder and informer.is_attended and random_() < 0.3:
            reign = self.reign = self.next_nonce()
            servers.holder = f"{self.number}:{reign}"
            tails = {n: (decode(s[-1][1]), s[-1][0]) for n, s in servers.subjects.items() if s}
            reports = dict(servers.reports)
            self.answers.append(lambda: self.relay.leads(INFORMER, reign, tails, reports))
        elif self.reign and servers.holder != me and random_() < 0.1:
            self.answers.append(lambda: self.relay.steps_down(INFORMER, "the lease has ended"))
        elif self.reign and random_() < 0.3:
            for payload, revision in list(servers.demands.values()):
                self.answers.append(lambda p=payload, r=revision: self.relay.demanded(INFORMER, p, r))  # type: ignore[misc]
            if informer.lacks_reports:
                reports = dict(servers.reports)
                self.answers.append(lambda: self.relay.heard_reports(INFORMER, reports))

    def drop_reign(self) -> None:
        if self.both.servers.holder == f"{self.number}:{self.reign}":
            self.both.servers.holder = ""
        self.reign = ""

    def call(self, want: Want) -> bool:
        servers = self.both.servers
        if isinstance(want, Publish):
            if want.reign != self.reign:
                # The shell has stopped trying; what it had sent may come late.
                self.both.late.append(want)
                return True
            sequence = servers.publish(want)
            if sequence == 0 or self.happens(0.1):
                return False  # refused, or the answer is lost: tried again
            if sequence is None:
                self.answers.append(lambda: self.relay.steps_down(INFORMER, "fenced"))
            else:
                self.answers.append(lambda: self.relay.published(INFORMER, want.shard, want.reign, sequence))
        elif isinstance(want, Consume):
            self.consumed[want.shard] = (want.token, 0, 0)
            subject = servers.subjects[want.shard]
            tail = decode(subject[-1][1]) if subject else None
            self.answers.append(lambda: self.relay.opened(INFORMER, want.shard, want.token, tail))
        elif isinstance(want, Leave):
            self.consumed.pop(want.shard, None)
        elif isinstance(want, Done):
            servers.purge(want.shard, want.sequence)
            if want.shard in self.consumed:
                token, sequence, held = self.consumed[want.shard]
                if token == want.token:
                    self.consumed[want.shard] = token, sequence, held - want.messages
        elif isinstance(want, Report):
            servers.reports[want.shard] = msgspec.msgpack.decode(want.payload, type=ShardState)
        elif isinstance(want, Demand):
            servers.revision += 1
            servers.demands[want.shard] = msgspec.msgpack.encode(want), servers.revision
            self.both.demands += 1
            self.answers.append(lambda: self.relay.asked(INFORMER, want.shard, want.token) or [])
        elif isinstance(want, Met):
            if servers.demands.get(want.shard, (b"", 0))[1] == want.revision:
                del servers.demands[want.shard]
        elif isinstance(want, Prove):
            for host in self.both.hosts:
                if not self.happens(0.2):
                    host.relay.proven(INFORMER, want.payload)
        return True

    def consume(self, random_: Callable[[], float]) -> None:
        for shard, (token, sequence, held) in list(self.consumed.items()):
            for found, payload in self.both.servers.subjects[shard]:
                if found <= sequence:
                    continue
                if held < 4 and random_() < 0.5:
                    self.consumed[shard] = token, found, held + 1
                    self.answers.append(
                        lambda s=shard, t=token, f=found, p=payload: self.relay.delivered(
                            INFORMER, s, t, f, p
                        )  # type: ignore[misc]
                    )
                break


class Both:
    """The two hosts; ``losses``: the queue may lose what it had confirmed, and shards their disks. ``archive``: a shard
    whose disk is lost is filled from its archive, and may be the other host's then."""

    def __init__(
        self, seed: int, *, worker: type[Worker] = Worker, losses: bool = True, archive: bool = False
    ) -> None:
        from tests.support.fifo_model import Server

        self.rng = random.Random(seed)
        self.server = Server()
        self.stores = [Store() for _ in range(SHARDS)]
        self.servers = Servers()
        self.late: list[Publish] = []
        self.late_in = self.demands = 0
        self._nonces = 0
        self._losses = losses
        self.archive = archive
        # By shard the host that has it.
        self.places = list(range(SHARDS))
        self.hosts = [Host(self, number, worker) for number in range(SHARDS)]

    def next_nonce(self) -> str:
        self._nonces += 1
        return f"{self._nonces:08x}"

    def step(self) -> None:
        rng, servers = self.rng, self.servers
        dice = rng.random()
        host = rng.choice(self.hosts)
        if dice < 0.40:
            self.server.change(rng)
        elif dice < 0.41:
            self.server.compact(rng)
        elif dice < 0.425:
            host.kill_peer(rng.choice(host.peers))
        elif dice < 0.44:
            host.kill_broker()
        elif dice < 0.445:
            for one in self.hosts:
                one.kill_all()
        elif dice < 0.46:
            host.frozen = rng.randint(5, 40)
        elif dice < 0.48:
            servers.holder = ""
        elif dice < 0.49:
            servers.refuses = not servers.refuses
        elif dice < 0.50 and self.late:
            want = self.late.pop(rng.randrange(len(self.late)))
            self.late_in += bool(servers.publish(want))
        elif dice < 0.503 and self._losses:
            self.lose_shard(rng.randrange(SHARDS))
        elif 0.51 <= dice < 0.53 and self.archive:
            self.move_shard(rng.randrange(SHARDS))
        elif dice < 0.505 and self._losses:
            servers.lose(rng)
        self.turn(rng.random)

    def lose_shard(self, shard: int) -> None:
        host = self.hosts[self.places[shard]]
        for peer in [p for p in host.workers if isinstance(p, Worker) and shard in p.shards]:
            host.kill_peer(peer)
        host.lose_store(shard)

    def move_shard(self, shard: int) -> None:
        """Its host's worker is gone, and the other host's has it, on a disk of its own."""
        former, host = self.hosts[self.places[shard]], self.hosts[1 - self.places[shard]]
        self.places[shard] = host.number
        for peer in [p for p in former.workers if isinstance(p, Worker) and shard in p.shards]:
            former.workers.remove(former.kill_peer(peer))
        former.owners.pop(shard, None)
        host.workers.append(host._worker(host, f"worker-{shard}", [shard]))
        host.lose_store(shard)

    def turn(self, random_: Callable[[], float]) -> None:
        for host in self.hosts:
            host.now_s += 0.1
            host.turn(random_)

    @property
    def lists(self) -> int:
        return sum(host.lists for host in self.hosts)

    def run(self, steps: int) -> None:
        """``steps`` with accidents, then quiet until nothing changes; raises BrokenPromise."""
        for _ in range(steps):
            self.step()
        for host in self.hosts:
            host.is_quiet = True
            host.frozen = 0
            if host.reign and self.servers.holder != f"{host.number}:{host.reign}":
                host.answers.append(lambda h=host: h.relay.steps_down(INFORMER, "the lease has ended"))  # type: ignore[misc]
        if self.servers.holder and not any(
            self.servers.holder == f"{host.number}:{host.reign}" for host in self.hosts
        ):
            self.servers.holder = ""
        self.servers.refuses = False
        for _ in range(900):
            self.turn(lambda: 0.0)
            if self.is_converged():
                break
        self.check()

    def is_converged(self) -> bool:
        version = self.server.version
        return not any(host.broker.leased for host in self.hosts) and all(
            store.resume.get(stream) == version for store in self.stores for stream in STREAMS
        )

    def check(self) -> None:
        held = {key: value for store in self.stores for key, value in store.objects.items()}
        if held != self.server.objects:
            raise BrokenPromise(f"stored {held}\nserver {self.server.objects}")
        if not self.is_converged():
            raise BrokenPromise(f"stands still: {[s.resume for s in self.stores]} at {self.server.version}")
