"""P1 Store before notify: an event of K at V finds K at V, newer, or since deleted, in any process."""

import multiprocessing

import pytest

from deltawire.common.store.reader import ShardReader
from tests.support.shard_rig import ShardRig

# A fork would share this process' environments; handlers are processes of their own, too.
SPAWN = multiprocessing.get_context("spawn")
ANSWER_S = 20


def look_up(folder, line):
    """A handler's process: it gets a key and answers at once what the cache holds of it."""
    reader = ShardReader(folder)
    while (key := line.recv()) is not None:
        row = reader.get(key)
        page, _ = reader.page("a/")
        listed = {found.key: found for found in page}.get(key)
        line.send([None if found is None else (found.uid, int(found.version)) for found in (row, listed)])
    reader.close()


class Handler:
    """The group's replica here, its lister in another process."""

    def __init__(self, rig, line):
        self.replica = rig.join()
        self.line = line
        self.heard = 0

    def hears(self):
        for event in self.replica.take():
            self.line.send(event[1])
            assert self.line.poll(ANSWER_S)
            for found in self.line.recv():
                self.check(event, found)
            self.replica.answer(event)
            self.heard += 1

    def check(self, event, found):
        _, key, kind, uid, version = event[:5]
        if kind == "D":
            assert found is None, f"{key} is deleted and still there"
        else:
            assert found is not None, f"{key} at {version} was told before it was stored"
            assert found[0] == uid
            assert found[1] >= int(version), f"{key} at {version} was told, {found[1]} is stored"


@pytest.fixture
def rig(tmp_path):
    rig = ShardRig(tmp_path / "shard")
    yield rig
    rig.shard.close(clean=False)


@pytest.fixture
def handler(rig):
    line, far = SPAWN.Pipe()
    process = SPAWN.Process(target=look_up, args=(rig.folder, far))
    process.start()
    yield Handler(rig, line)
    line.send(None)
    process.join(ANSWER_S)
    assert process.exitcode == 0


def test_whoever_hears_of_a_version_finds_it_in_the_cache(rig, handler):
    rig.list("100", ("a/listed", "u0", "50"))
    handler.hears()
    for number in range(1, 60):
        rig.pop(("A" if number == 1 else "U", "a/k", "u1", str(100 + number)))
        handler.hears()
    rig.pop(("D", "a/k", "u1", "200"))
    handler.hears()
    rig.pop(("A", "a/k", "u2", "201"))
    handler.hears()
    assert handler.heard == 62
