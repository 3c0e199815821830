"""How much of a shard is committed in one turn: less where its groups lag, so that they are not left further behind."""

from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.loop import Loop
from deltawire.common.wire.messages.shard import Pop
from deltawire.informer.broker_link import BATCHES_PER_COMMIT, BrokerLink
from deltawire.informer.groups.replica import Departure
from tests.support.shard_rig import ShardRig


@pytest.fixture
def rig(tmp_path: Path) -> ShardRig:
    made = ShardRig(tmp_path / "shard")
    made.list("100")
    return made


def test_a_group_that_was_sent_all_has_no_backlog_though_it_has_acknowledged_nothing(rig: ShardRig) -> None:
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"))
    assert rig.shard.has_backlog
    assert handler.take()
    assert not rig.shard.has_backlog


def test_a_group_without_replicas_is_no_backlog(rig: ShardRig) -> None:
    handler = rig.join()
    handler.take()
    rig.shard.leave("g", handler.identity, "killed", Departure.DIED)
    rig.pop(("A", "a/k", "u1", "101"))
    assert not rig.shard.has_backlog


@pytest.mark.parametrize(
    ("has_backlog", "batches"), [(False, BATCHES_PER_COMMIT), (True, 1)], ids=["none", "some"]
)
def test_of_a_shard_with_a_backlog_one_batch_is_committed_a_turn(has_backlog: bool, batches: int) -> None:
    shard = SimpleNamespace(informer="dev/pods", number=0, has_backlog=has_backlog)
    informer = SimpleNamespace(name="dev/pods", shards={0: shard}, error="")
    turns = cast(Any, SimpleNamespace(turns=0, show=lambda: None))
    clock = FakeClock()
    link = BrokerLink(cast(Any, {"dev/pods": informer}), cast(Any, None), Loop(clock, turns), clock=clock)
    pops = [Pop("dev/pods", 0, "boot", number, number, [], []) for number in range(1, 3 * BATCHES_PER_COMMIT)]
    link.waiting["dev/pods", 0] = deque(pops)
    ((_, _, work, _, owed),) = link.next_work()
    assert work == pops[:batches]
    assert owed.number == batches
