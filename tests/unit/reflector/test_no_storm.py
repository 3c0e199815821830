"""P6 at fifty streams: what is asked of an API server in trouble, minute by minute of simulated time."""

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from deltawire.common.errors import StatusError, TransportError
from deltawire.reflector.action import List, Watch
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.list_plan import ServerTraits
from deltawire.reflector.machine import Machine
from deltawire.reflector.relists import LIST_EVERY_S, ListGate
from deltawire.reflector.split import Batch, Page
from deltawire.reflector.states import State
from tests.support.reflector_bench import bookmark, row

STREAMS = 50
BOOKMARK_S = 60.0
TICK_S = 0.1


@dataclass
class Trouble:
    """What a server does with a watch that is opened at ``now_s``; None: it is well. Lists work unless ``lists``
    says otherwise. ``ends_s``: a watch that is well is ended so long after its opening."""

    watch: object = None
    lists: object = None
    ends_s: float = 450.0


@dataclass(order=True)
class News:
    at_s: float
    order: int
    stream: int = field(compare=False)
    number: int = field(compare=False)
    happens: object = field(compare=False)


class Cluster:
    """Fifty machines, a clock, and a server as the test describes it: ``trouble(now_s)``."""

    def __init__(self, trouble, seed):
        self.rng = random.Random(seed)
        gate = ListGate(self.rng.random)
        self.machines = [
            Machine(Backoff(random=self.rng.random), ServerTraits(False), self.rng.random, gate)
            for _ in range(STREAMS)
        ]
        self.trouble = trouble
        self.now_s = 0.0
        self.version = 1000
        self.log = []  # (seconds, stream, "list" or "watch")
        self._news = []
        self._numbers = Counter()
        self._order = 0
        self._due = [0.0] * STREAMS
        for stream, machine in enumerate(self.machines):
            self._do(stream, machine.start(0.0, "1000", "1000", 1))

    def run(self, until_s):
        while self.now_s < until_s:
            self.now_s = round(self.now_s + TICK_S, 3)
            while self._news and self._news[0].at_s <= self.now_s:
                news = heapq.heappop(self._news)
                if news.number == self._numbers[news.stream]:
                    self._do(news.stream, news.happens(self.machines[news.stream]))
            for stream, machine in enumerate(self.machines):
                # As the main loop does: a stream is looked at when it said that it has something to do.
                if self.now_s >= self._due[stream]:
                    self._do(stream, machine.tick(self.now_s, self.now_s))
        return self

    def asked(self, what, from_s=0.0, to_s=float("inf")):
        return [at_s for at_s, _, kind in self.log if kind == what and from_s <= at_s < to_s]

    def lists_of(self, stream):
        return [at_s for at_s, who, kind in self.log if who == stream and kind == "list"]

    def _do(self, stream, actions):
        for action in actions:
            if isinstance(action, List):
                self.log.append((self.now_s, stream, "list"))
                self._answer(stream, self._list)
            elif isinstance(action, Watch):
                self.log.append((self.now_s, stream, "watch"))
                self._answer(stream, self._watch)
        self._due[stream] = self.machines[stream].due_s(self.now_s, self.now_s)

    def _answer(self, stream, how):
        self._numbers[stream] += 1
        how(stream, self.trouble(self.now_s))

    def _later(self, stream, delay_s, happens):
        self._order += 1
        news = News(self.now_s + delay_s, self._order, stream, self._numbers[stream], happens)
        heapq.heappush(self._news, news)

    def _list(self, stream, trouble):
        if trouble.lists is not None:
            self._later(stream, 0.1, lambda m: m.failed(self.now_s, trouble.lists))
            return
        self.version += 1
        page = Page([row("R", "a")], str(self.version), "", True)
        self._later(stream, 0.1, lambda m: m.page(self.now_s, page))

    def _watch(self, stream, trouble):
        if trouble.watch is not None:
            trouble.watch(self, stream)
            return
        self._later(stream, 0.1, lambda m: m.opened(self.now_s))
        self._later(stream, trouble.ends_s, lambda m: m.closed(self.now_s))
        beat_s = BOOKMARK_S
        while beat_s < trouble.ends_s:
            self._later(stream, beat_s, lambda m: m.batch(self.now_s, bookmark(str(self.version))))
            beat_s += BOOKMARK_S


def refuses(error):
    return lambda cluster, stream: cluster._later(stream, 0.01, lambda m: m.failed(cluster.now_s, error))


def errs(error, after_s=1.0):
    def watch(cluster, stream):
        cluster._later(stream, 0.01, lambda m: m.opened(cluster.now_s))
        cluster._later(stream, after_s, lambda m: m.batch(cluster.now_s, Batch(error=error)))

    return watch


def between(from_s, to_s, watch, lists=None):
    return lambda now_s: Trouble(watch, lists) if from_s <= now_s < to_s else Trouble()


REFUSED = TransportError("connection refused", reason="refused")
INTERNAL = StatusError(500, "InternalError", "etcdserver: mvcc: required revision has been compacted")
FORBIDDEN = StatusError(403, "Forbidden", "pods is forbidden")


@pytest.fixture
def seed():
    found = random.randrange(2**32)
    print("seed", found)
    return found


def test_a_server_that_is_away_for_a_minute_costs_no_list(seed):
    def trouble(now_s):
        # All are cut at 10 s; it is back at 70 s.
        if now_s < 10:
            return Trouble(ends_s=10 - now_s)
        return Trouble(refuses(REFUSED), REFUSED) if now_s < 70 else Trouble()

    cluster = Cluster(trouble, seed).run(200)
    assert cluster.asked("list") == []
    assert all(machine.state is State.WATCHING for machine in cluster.machines)


def test_a_load_balancer_that_cuts_every_thirty_seconds_costs_no_list(seed):
    cluster = Cluster(lambda now_s: Trouble(ends_s=30.0), seed).run(600)
    assert cluster.asked("list") == []
    assert len(cluster.asked("watch")) <= STREAMS * (600 / 30 + 2)


def test_ten_minutes_of_errors_500_cost_a_bounded_number_of_lists(seed):
    cluster = Cluster(between(0, 600, errs(INTERNAL)), seed).run(600)
    lists = cluster.asked("list")
    assert len(lists) <= 600 / LIST_EVERY_S + 1
    gaps = [later - earlier for earlier, later in pairwise(lists)]
    assert min(gaps) >= LIST_EVERY_S - TICK_S - 0.001
    for stream in range(STREAMS):
        own = cluster.lists_of(stream)
        assert own, "each stream lists"
        assert len(own) <= 12, "doubling"
    # What was wished for before is void as soon as a watch brings its first bookmark.
    assert cluster.run(1500).asked("list", from_s=600 + 150) == []
    assert all(machine.state is State.WATCHING for machine in cluster.machines)


def test_an_hour_of_403_costs_no_list_and_is_over_when_it_is_granted(seed):
    cluster = Cluster(between(0, 3600, refuses(FORBIDDEN), FORBIDDEN), seed).run(3600)
    assert cluster.asked("list") == []
    assert len(cluster.asked("watch", 120)) <= STREAMS * 3600 / 30
    cluster.run(3700)
    assert cluster.asked("list") == []
    assert all(machine.state is State.WATCHING for machine in cluster.machines)


def test_a_server_that_refuses_lists_too_is_not_asked_for_more_than_the_bounds(seed):
    cluster = Cluster(lambda now_s: Trouble(errs(INTERNAL), INTERNAL), seed).run(600)
    lists = cluster.asked("list")
    assert lists
    assert len(lists) <= 600 / LIST_EVERY_S + 1
    assert max(len(cluster.lists_of(stream)) for stream in range(STREAMS)) <= 12
    # The version is still held: as soon as a watch works there, all is well.
    cluster.trouble = lambda now_s: Trouble()
    cluster.run(800)
    assert all(machine.state is State.WATCHING for machine in cluster.machines)
