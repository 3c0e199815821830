"""P7 Isolation: a handler that hangs, dies or holds the cache open delays no other."""

import multiprocessing

import pytest

from deltawire.common.store.reader import ShardReader
from tests.support.shard_rig import ShardRig, brief

SPAWN = multiprocessing.get_context("spawn")
ANSWER_S = 20


@pytest.fixture
def rig(tmp_path):
    rig = ShardRig(tmp_path / "shard")
    rig.list("100")
    yield rig
    rig.shard.close(clean=False)


def test_a_handler_that_hangs_stops_neither_the_others_nor_the_cache(rig):
    hangs = rig.join("hangs", window=1)
    works = rig.join("works")
    rig.pop(("A", "a/k0", "u0", "101"))
    assert len(hangs.take()) == 1  # and never answers
    assert len(works.work()) == 1
    for version in range(102, 200):
        rig.pop(("U", f"a/k{version % 3}", f"u{version % 3}", str(version)))
        assert [e[4] for e in works.work()] == [str(version)]
    assert rig.stored()["a/k1"] == ("u1", "199")
    assert hangs.take() == []


def test_a_handler_that_dies_again_and_again_costs_only_its_own_group(rig):
    works = rig.join("works")
    for life in range(5):
        dies = rig.join("dies", f"d{life}")
        rig.pop(("U" if life else "A", "a/k", "u1", str(101 + life)))
        dies.take()
        assert [e[4] for e in works.work()] == [str(101 + life)]
        dies.die()
        rig.clock.advance(60)
    assert brief(rig.join("dies", "d9").work())[-1][2] == "105"


def iterate(folder, line):
    """A handler that stops in the middle of iterating a lister."""
    reader = ShardReader(folder)
    rows, after = reader.page("", "", 5)
    line.send(len(rows))
    line.recv()
    more, _ = reader.page("", after, 5)
    line.send(len(more))
    reader.close()


def test_a_handler_that_holds_a_lister_iterator_does_not_fill_the_cache(rig):
    rig.pop(*(("A", f"a/k{n:02}", f"u{n}", str(200 + n)) for n in range(20)), pad="x" * 8000)
    line, far = SPAWN.Pipe()
    process = SPAWN.Process(target=iterate, args=(rig.folder, far))
    process.start()
    try:
        assert line.poll(ANSWER_S)
        assert line.recv() == 5
        version, sizes = 1000, []
        for _ in range(2):
            for _ in range(30):
                version += 20
                rig.pop(*(("U", f"a/k{n:02}", f"u{n}", str(version + n)) for n in range(20)), pad="y" * 8000)
            sizes.append((rig.folder / "data.mdb").stat().st_size)
        # Between the two: 600 writes of 8 KB. If they were pinned, the file would be 5 MB longer.
        assert sizes[1] - sizes[0] < 1_000_000
        line.send("go on")
        assert line.poll(ANSWER_S)
        assert line.recv() == 5
        process.join(ANSWER_S)
        assert process.exitcode == 0
    finally:
        process.kill()
        process.join()
