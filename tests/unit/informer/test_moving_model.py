"""A shard that is with one worker after another, on disks of their own, with kills at every step of the archive: what
was acknowledged does not come again, nothing is new twice, no deletion is missed, no fence is given out again."""

import shutil
from pathlib import Path

import pytest

from deltawire.informer.archive.port import ArchiveUnavailable
from deltawire.informer.archive.record import Image, Record, decode
from deltawire.informer.archive.restore import copy
from deltawire.informer.shared_informer import SharedInformer
from deltawire.informer.store.trouble import OwnerLost
from tests.support.archives import Killed
from tests.support.moving import DONE, KEYS, RETRY, Seen, World


def _random_run(world: World, steps: int) -> None:
    rng = world.random
    world.start(world.hosts[0])
    world.join(Seen("latest", "latest"))
    world.join(Seen("every", "every"))
    zombies = []
    for _ in range(steps):
        try:
            _step(world)
        except Killed:
            if rng.random() < 0.3 and world.at.informer is not None and len(world.hosts) > 1:
                # It is only stopped, and will wake up.
                zombies.append(world.at.informer)
                world.at.informer = None
                world.hosts.remove(world.at)
            _take_over(world)
        except ArchiveUnavailable:
            world.log.is_away = False
        if zombies and rng.random() < 0.1:
            _wake(world, zombies.pop())
    world.log.trouble = lambda is_kept: None
    world.log.is_away = False
    _take_over(world)
    world.rest()
    for zombie in zombies:
        _wake(world, zombie)


def _step(world: World) -> None:
    rng = world.random
    dice = rng.random()
    if dice < 0.35:
        world.change(rng.choice(KEYS), rng.choice(["put", "put", "put", "delete", "again"]))
    elif dice < 0.55:
        world.pop(rng.randint(1, 6))
    elif dice < 0.75:
        world.deliver(lambda event: rng.choice([DONE, DONE, DONE, RETRY, None]))
    elif dice < 0.85:
        world.flush()
    elif dice < 0.88:
        world.clock.advance(5.0)
    elif dice < 0.9:
        world.log.is_away = True
    elif dice < 0.92:
        assert world.shard is not None and world.shard.archive is not None
        world.shard.archive.push()
        world.shard.archive.write_copy()
    else:
        left = rng.randint(0, 3)
        after = rng.random() < 0.5

        def trouble(is_kept: bool) -> None:
            nonlocal left
            if is_kept is after:
                left -= 1
                if left < 0:
                    raise Killed

        world.log.trouble = trouble


def _take_over(world: World) -> None:
    """Some worker takes the shard, with what its disk remembers or without; it may be killed while it does."""
    rng = world.random
    for _ in range(50):
        try:
            host = rng.choice(world.hosts)
            world.at.kill()
            host.kill()
            if rng.random() < 0.4:
                shutil.rmtree(host.folder, ignore_errors=True)
            if rng.random() < 0.7:
                world.log.trouble = lambda is_kept: None
            world.start(host)
            return
        except Killed:
            continue
    raise AssertionError("every worker was killed")


def _wake(world: World, informer: SharedInformer) -> None:
    """A worker that was stopped goes on: it writes nothing."""
    world.log.is_away, world.log.trouble = False, lambda is_kept: None
    before = list(world.log.entries)
    shard = informer.shards[0]
    for group in shard.groups.values():
        group.record.touch()
    with pytest.raises(OwnerLost):
        shard.flush()
    assert world.log.entries == before
    informer.close(clean=False)


def _is_the_same_copied(world: World) -> None:
    """What the records add up to is what the store holds."""
    assert world.shard is not None
    added_up = Image().add_all(decode(data) for _, data in world.log.entries)
    position, ops = copy(world.shard.indexer)
    copied = Image()
    copied.add(
        Record(kind="all", epoch=added_up.epoch, place=added_up.place, position=position, ops=list(ops))
    )
    assert copied.tables == added_up.tables
    assert copied.position == added_up.position


@pytest.mark.parametrize("seed", range(80))
def test_whatever_is_killed_a_shard_moves_with_what_its_groups_know(seed: int, tmp_path: Path) -> None:
    world = World(tmp_path, seed)
    try:
        _random_run(world, 120)
        _is_the_same_copied(world)
        for seen in world.groups.values():
            assert seen.live == world.state, seen.name
            assert seen.ended >= seen.known_uids - {uid for uid, _ in world.state.values()}, seen.name
    finally:
        world.close()
