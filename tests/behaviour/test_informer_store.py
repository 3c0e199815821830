"""What other processes find in the store while its worker writes it (P1, P5)."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from deltawire.common.clock import SystemClock
from deltawire.common.meta.keys import shard_of
from deltawire.common.store.reader import ShardReader
from deltawire.informer.store.indexer import Indexer
from deltawire.informer.store.trouble import OwnerLost
from tests.support.shard_rig import ShardRig

# A fork would share this process' environments; the roles are processes of their own, too.
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ShardRig]:
    rig = ShardRig(tmp_path / "shard")
    rig.list("100")
    yield rig
    rig.shard.close(clean=False)


def look_up(folder: Path, line: Connection) -> None:
    """A handler process: it gets an event's key and answers at once what the cache holds."""
    reader = ShardReader(folder)
    while (key := line.recv()) is not None:
        row = reader.get(key)
        line.send(None if row is None else (row.uid, int(row.version)))
    reader.close()


def test_who_hears_of_an_event_finds_its_version_or_a_newer_one(rig: ShardRig) -> None:
    line, far = SPAWN.Pipe()
    process = SPAWN.Process(target=look_up, args=(rig.folder, far))
    process.start()
    try:
        handler = rig.join()
        heard = 0
        for number in range(1, 200):
            kind = "A" if number == 1 else "U"
            rig.pop((kind, "a/k", "u1", str(100 + number)))
            for event in handler.take():
                line.send(event[1])
                assert line.poll(10)
                uid, version = line.recv()
                assert (uid, version >= int(event[4])) == ("u1", True)
                handler.answer(event)
                heard += 1
        assert heard == 199
        rig.pop(("D", "a/k", "u1", "400"))
        (gone,) = handler.take()
        line.send(gone[1])
        assert line.poll(10)
        assert line.recv() is None
    finally:
        line.send(None)
        process.join(10)
        assert process.exitcode == 0


def take_over(folder: Path, line: Connection) -> None:
    """A successor worker in a process of its own."""
    indexer = Indexer(
        folder, owner="successor", informer="dev/pods", indexes={}, index_hash="[]", clock=SystemClock()
    )
    line.send("mine")
    line.recv()
    indexer.close()


def test_a_worker_that_woke_up_too_late_writes_nothing_over_its_successor(rig: ShardRig) -> None:
    rig.pop(("A", "a/k", "u1", "101"))
    line, far = SPAWN.Pipe()
    process = SPAWN.Process(target=take_over, args=(rig.folder, far))
    process.start()
    try:
        assert line.poll(20)
        assert line.recv() == "mine"
        with pytest.raises(OwnerLost):
            rig.pop(("U", "a/k", "u1", "102"))
        assert rig.stored() == {"a/k": ("u1", "101")}
    finally:
        line.send("done")
        process.join(10)
        assert process.exitcode == 0


def hold_a_list(folder: Path, line: Connection) -> None:
    """A handler that has begun a list and does not go on with it."""
    reader = ShardReader(folder)
    rows, after = reader.page("", "", 10)
    line.send(len(rows))
    line.recv()
    more, _ = reader.page("", after, 10)
    line.send(len(more))
    reader.close()


def test_a_handler_in_the_middle_of_a_list_pins_no_pages(rig: ShardRig) -> None:
    for number in range(40):
        rig.pop(("A", f"a/k{number:02}", f"u{number}", str(200 + number)), pad="x" * 8000)
    line, far = SPAWN.Pipe()
    process = SPAWN.Process(target=hold_a_list, args=(rig.folder, far))
    process.start()
    try:
        assert line.poll(20)
        assert line.recv() == 10
        version, sizes = 1000, []
        for _ in range(3):
            for _ in range(20):
                version += 40
                rig.pop(*(("U", f"a/k{n:02}", f"u{n}", str(version + n)) for n in range(40)), pad="y" * 8000)
            sizes.append((rig.folder / "data.mdb").stat().st_size)
        # 2,400 writes of 8 KB: pinned, they would be 20 MB more.
        assert sizes[-1] - sizes[0] < 1_000_000
        line.send("go on")
        assert line.poll(10)
        assert line.recv() == 10
    finally:
        process.join(10)
        assert process.exitcode == 0


def test_other_workers_own_the_shards_but_no_key_moves(tmp_path: Path) -> None:
    """Workers 2 → 3: the shards' folders change hands, and what is in them stays."""
    keys = [f"a/k{number}" for number in range(40)]
    shards = {}
    for number in range(4):
        rig = shards[number] = ShardRig(tmp_path / f"shard-{number}")
        mine = [key for key in keys if shard_of(key, 4) == number]
        rig.list("100", *((key, f"u-{key}", str(10 + i)) for i, key in enumerate(mine)))
        rig.join().work()
        rig.dead.add("r0")
    before = {number: rig.stored() for number, rig in shards.items()}
    for number, rig in shards.items():
        rig.reopen(owner=100 + number)
        rig.new_broker("b2")
        handler = rig.join(name="r1")
        assert rig.shard.report()["*"][0] == "100", "no list is needed"
        assert handler.work() == [], "no key was deleted or added"
        assert rig.stored() == before[number]
        rig.shard.close(clean=False)
    assert sum(len(found) for found in before.values()) == len(keys)


def test_a_group_registered_by_two_replicas_keeps_one_position(rig: ShardRig) -> None:
    first = rig.join(name="r0")
    second = rig.join(name="r1")
    rig.pop(("A", "a/k", "u1", "101"))
    events = first.take() + second.take()
    assert [event[1] for event in events] == ["a/k"]
