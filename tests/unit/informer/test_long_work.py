"""Long work of a shard says that it goes on: a sweep, a rebuild of indices, a large commit are no hang."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.cli.supervisor.hangs import Hang, Hangs
from deltawire.common.beats import Beats
from deltawire.common.clock import Clock, FakeClock, SystemClock
from deltawire.informer.store.batch import PROGRESS_ROWS
from tests.support.shard_rig import ShardRig


class TickingClock(FakeClock):
    """Each look at it takes a second: whatever is said as soon as it is due is said at every look."""

    def now_s(self) -> float:
        self.advance(1.0)
        return super().now_s()


class Watched:
    """The beats of a shard, and the lines that they made."""

    def __init__(self, clock: Clock) -> None:
        self.lines: list[str] = []
        self._heard, self._fd = os.pipe()
        self.beats = Beats(self._fd, clock)
        # The pipe holds 64 KiB, so it is emptied while the shard works.
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def close(self) -> list[str]:
        os.close(self._fd)
        self._reader.join()
        os.close(self._heard)
        return self.lines

    def _read(self) -> None:
        rest = b""
        while data := os.read(self._heard, 4096):
            *lines, rest = (rest + data).split(b"\n")
            self.lines += [line.decode() for line in lines]


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched(TickingClock())
    yield made
    if made._reader.is_alive():
        made.close()


def filled(folder: Path, beats: Beats, objects: int, **options: object) -> ShardRig:
    rig = ShardRig(folder, beats=beats, **options)
    rig.begin(1)
    for start in range(0, objects, 1000):
        rig.pop(*(("R", f"n/pod-{i}", f"u{i}", "5") for i in range(start, min(start + 1000, objects))))
    rig.end("10", 1)
    return rig


def test_a_sweep_says_at_least_every_few_rows_that_it_goes_on(tmp_path: Path, watched: Watched) -> None:
    rig = filled(tmp_path, watched.beats, 6000)
    handler = rig.join()
    already = len(watched.lines)
    rig.list("20", generation=2)
    assert rig.stored() == {}
    assert handler is not None
    said = watched.close()[already:]
    # Looked at, swept, and the commit: none of them is silent.
    assert said.count("progress a scan of what a list did not name") >= 6000 // PROGRESS_ROWS
    assert said.count("progress a large batch") >= 6000 // PROGRESS_ROWS
    assert any(line.startswith("call a commit of ") for line in said)


def test_a_rebuild_of_indices_says_that_it_goes_on(tmp_path: Path, watched: Watched) -> None:
    rig = filled(tmp_path, watched.beats, 3000)
    rig.reopen(indexes={"by-name": ".metadata.name"})
    assert watched.close().count("progress a rebuild of indices") >= 3


@pytest.mark.long
@pytest.mark.timeout(600)
def test_250_000_objects_swept_by_one_end_are_no_hang(tmp_path: Path) -> None:
    """With a limit that the sweep as a whole exceeds several times."""
    hangs, found, over = Hangs(), list[Hang](), threading.Event()
    clock = SystemClock()
    heard, fd = os.pipe()
    os.set_blocking(heard, False)

    def watch() -> None:
        rest = b""
        while not over.wait(0.1):
            try:
                *lines, rest = (rest + os.read(heard, 1 << 16)).split(b"\n")
            except BlockingIOError:
                lines = []
            for line in lines:
                hangs.heard("worker", line.decode(), clock.now_s())
            found.extend(hangs.look(clock.now_s()))

    beats = Beats(fd)
    rig = filled(tmp_path, beats, 250_000)
    rig.join()
    hangs.started("worker", clock.now_s(), hang_after_s=1.0)
    beats.terms(1.0, 20)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        beats.turn()
        rig.list("20", generation=2)
    finally:
        over.set()
        watcher.join()
        os.close(fd)
        os.close(heard)
    assert rig.stored() == {}
    assert not found
