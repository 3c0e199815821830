"""P7 Isolation, where a group is behind: what it has still to handle delays neither the cache nor another group.

On a real worker, its sockets and its loop (ADR 10: ingest waits for no handler, not even for a bounded time).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.common.wire.codec import plain
from tests.behaviour.test_informer_worker import PODS, Replica, Rig

MANY = 3_000
WINDOW = {"window": 4}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def version_of(rig: Rig, replica: Replica, key: str) -> str:
    """What the cache holds, asked as a lister on another host asks; "" if nothing."""
    known = len(replica.said("rows"))
    replica.link.send(plain("query", known + 1, PODS, 0, "get", [key]))
    rig.until(lambda: len(replica.said("rows")) > known, "an answer")
    rows = replica.said("rows")[-1][1]
    return str(rows[0][1]) if rows else ""


def test_a_call_that_waits_for_its_own_write_finds_it_in_the_cache_while_its_group_is_behind(
    rig: Rig,
) -> None:
    rig.start()
    broker, replica = rig.broker(), rig.replica(delivery="every", **WINDOW)
    broker.open()
    broker.list("100", *((f"a/k{i}", f"u{i}", str(i + 1)) for i in range(50)))
    rig.until(replica.events, "the first events")
    broker.pop(("U", "a/k0", "u0", "101"))  # what the call wrote; it is not acknowledged, it waits for this
    rig.until(lambda: version_of(rig, replica, "a/k0") == "101", "its write")
    assert len(replica.events()) == WINDOW["window"], "the group is behind, in its first calls"


def test_a_first_list_is_stored_and_acknowledged_whole_before_a_slow_group_has_handled_it(rig: Rig) -> None:
    rig.start()
    broker, replica = rig.broker(), rig.replica(delivery="every", **WINDOW)
    broker.open()
    broker.list("9999", *((f"a/k{i}", f"u{i}", str(i + 1)) for i in range(MANY)))
    rig.until(lambda: broker.acked() == broker.number, "all of the list stored, its end included", seconds=60)
    assert len(replica.events()) == WINDOW["window"]
    assert version_of(rig, replica, f"a/k{MANY - 1}") == str(MANY)


def test_an_auditor_that_is_behind_for_ever_delays_no_fast_group(rig: Rig) -> None:
    rig.start()
    broker = rig.broker()
    auditor, fast = rig.replica("auditor", delivery="every", **WINDOW), rig.replica("fast")
    broker.open()
    broker.list("100", *((f"a/k{i}", f"u{i}", str(i + 1)) for i in range(40)))
    rig.until(lambda: len(fast.events()) == 40, "the list")
    fast.acknowledge(*fast.events())
    audited = 0
    for version in range(101, 121):
        broker.pop(("U", f"a/k{version % 40}", f"u{version % 40}", str(version)))
        rig.until(lambda: fast.events()[-1][4] == str(version), "the update")  # noqa: B023  # at once
        fast.acknowledge(fast.events()[-1])
        # It answers one for each that comes: alive, acknowledging, and no nearer.
        auditor.acknowledge(auditor.events()[audited])
        audited += 1
    assert len(auditor.events()) <= audited + WINDOW["window"]
