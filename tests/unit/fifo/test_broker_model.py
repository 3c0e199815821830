"""The broker's core in a world of random kills, and what each of its rules is for."""

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from deltawire.common.wire.messages import stream as stream_messages
from deltawire.common.wire.messages.shard import Batch
from deltawire.fifo import outgoing, shards, streams
from tests.support.fifo_model import BrokenPromise, Queue, Store, Worker, World
from tests.support.fifo_model_informer import RealWorker

SEEDS = 300
STEPS = 200


@pytest.fixture(autouse=True)
def tight_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credit, windows and batches so small that each of them is reached in a short run."""
    monkeypatch.setattr(streams, "STREAM_DELTAS_MAX", 12)
    monkeypatch.setattr(streams, "CREDIT_STEP_DELTAS", 2)
    monkeypatch.setattr(shards, "SHARD_DELTAS_MAX", 6)
    monkeypatch.setattr(outgoing, "BATCH_DELTAS_MAX", 3)


@pytest.mark.parametrize("worker", [Worker, RealWorker], ids=["rules", "informer"])
@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_the_store_equals_the_server_whatever_is_killed(first: int, worker: type[Worker]) -> None:
    """Once with the rules as the model has them, once with the informer's own code."""
    for seed in range(first, first + 50):
        world = World(seed, worker=worker)
        try:
            world.run(STEPS)
        except AssertionError as error:
            pytest.fail(f"seed {seed}: {error}")


@pytest.mark.parametrize("worker", [Worker, RealWorker], ids=["rules", "informer"])
@pytest.mark.parametrize("first", range(0, 100, 50))
def test_a_store_that_is_filled_from_its_archive_at_any_moment_equals_the_server(
    first: int, worker: type[Worker]
) -> None:
    for seed in range(first, first + 50):
        world = World(seed, worker=worker, archive=True)
        try:
            world.run(STEPS)
        except AssertionError as error:
            pytest.fail(f"seed {seed}: {error}")


class WithoutNumbers(Worker):
    """The store does not know what it has applied: what comes again after a lost ack is applied again."""

    def note_number(self, store: Store, boot: str, number: int) -> None: ...


class WithoutResumeSkip(Worker):
    """Shards that are ahead of the lowest one apply old events again."""

    def is_below_resume(self, store: Store, stream: str, version: int) -> bool:
        return False


class SweepsAtBegin(Worker):
    """What a list has not named yet is taken for gone."""

    def begin(self, store: Store, stream: str, generation: int) -> None:
        super().begin(store, stream, generation)
        for key in [key for key in store.objects if key[0] == stream]:
            store.remove(key)


class SweepsAllStreams(Worker):
    """The end of one stream's list takes the objects of the others along."""

    def end(self, store: Store, stream: str, generation: int, count: int, version: str) -> None:
        super().end(store, stream, generation, count, version)
        for key in [key for key in store.objects if key not in store.seen]:
            store.remove(key)


class KeepsResumeInsideAList(Worker):
    """A list that was cut in the middle is resumed as if it had not begun."""

    def begin(self, store: Store, stream: str, generation: int) -> None:
        resume = store.resume.get(stream)
        super().begin(store, stream, generation)
        store.resume[stream] = resume


class KeyedQueue(Queue):
    """A pop hands out all that waits of the oldest key, as client-go's DeltaFIFO does."""

    def pop(self, deltas_max: int, bytes_max: int) -> Batch | None:
        entries = list(self._entries)
        if entries and isinstance(entries[0], tuple):
            key = entries[0][1]
            mine = [entry for entry in entries if isinstance(entry, tuple) and entry[1] == key]
            self._entries = deque([*mine, *(entry for entry in entries if entry not in mine)])
            return super().pop(len(mine), bytes_max)
        return super().pop(deltas_max, bytes_max)


class ReleasesToTheTail(Queue):
    """What a dead worker had goes behind what came meanwhile."""

    def release(self) -> int:
        waiting = list(self._entries)
        released = super().release()
        entries = list(self._entries)
        self._entries = deque([*waiting, *entries[: len(entries) - len(waiting)]])
        return released


class MarksOvertake(Queue):
    """A mark is sent before the deltas that it stands for."""

    def _take_marks(self, number: int) -> dict[str, str]:
        return super()._take_marks(self._last)


class ForgetsLeases(Queue):
    """What a dead worker had not acknowledged is gone."""

    def release(self) -> int:
        self._leases.clear()
        self.leased = self.leased_bytes = 0
        return 0


RULES_OF_WORKERS = [
    WithoutNumbers,
    WithoutResumeSkip,
    SweepsAtBegin,
    SweepsAllStreams,
    KeepsResumeInsideAList,
]
RULES_OF_QUEUES = [KeyedQueue, ReleasesToTheTail, MarksOvertake, ForgetsLeases]


def first_broken(make: Callable[[int], World], seeds: int = 1500) -> int | None:
    for seed in range(seeds):
        try:
            make(seed).run(STEPS)
        except BrokenPromise:
            return seed
    return None


@pytest.mark.parametrize("worker", RULES_OF_WORKERS, ids=lambda rule: rule.__name__)
def test_the_world_breaks_without_a_rule_of_the_workers(worker: type[Worker]) -> None:
    assert first_broken(lambda seed: World(seed, worker=worker)) is not None


@pytest.mark.parametrize("queue", RULES_OF_QUEUES, ids=lambda rule: rule.__name__)
def test_the_world_breaks_without_a_rule_of_the_queue(queue: type[Queue]) -> None:
    assert first_broken(lambda seed: World(seed, queue=queue)) is not None


def test_the_world_breaks_if_a_new_broker_resumes_at_the_highest_shard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def newest(versions: list[str | None]) -> str | None:
        known = [int(version) for version in versions if version is not None]
        return str(max(known)) if known else None

    monkeypatch.setattr(shards, "lowest", newest)
    assert first_broken(World) is not None


def test_the_world_breaks_if_a_lost_shard_asks_for_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.Stream, "must_list", lambda stream: None)
    assert first_broken(World) is not None


def test_the_world_breaks_if_a_cut_list_counts_as_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = streams.Stream.begin

    def keep_version(stream: streams.Stream, message: stream_messages.Begin) -> bool:
        accepted = stream.accepted
        taken = begin(stream, message)
        if taken and accepted:
            stream.accepted = accepted
        return taken

    monkeypatch.setattr(streams.Stream, "begin", keep_version)
    assert first_broken(World) is not None


def test_the_world_breaks_if_messages_from_before_a_new_start_count(monkeypatch: pytest.MonkeyPatch) -> None:
    start = streams.Stream.start

    def without_fence(stream: streams.Stream, *said: Any) -> tuple[str, str, int, int, int]:
        answer = start(stream, *said)
        stream.awaits_list = False
        return answer

    monkeypatch.setattr(streams.Stream, "start", without_fence)
    assert first_broken(World) is not None
