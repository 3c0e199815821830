"""`engine: nats` with an archive: a host that is lost leaves its shards, and the lead, to the other."""

from pathlib import Path

import pytest

from tests.support.nats_hosts import TwoHosts
from tests.support.nats_moves import dead_letters, failures, is_content, lists_of, with_a_dead_letter
from tests.support.pipeline import wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240), pytest.mark.xdist_group("nats")]


@pytest.mark.long
def test_a_host_that_is_lost_with_its_disk_leaves_its_shards_and_the_lead_to_the_other(
    tmp_path: Path,
) -> None:
    with TwoHosts(tmp_path, archive=True) as hosts:
        hosts.wait_listed()
        name = with_a_dead_letter(hosts)
        lists = lists_of(hosts)
        former = hosts.leader()
        assert former is not None
        other = 1 - former
        # Where the disk is there, the queue has the rest.
        hosts.kill(f"standby-{other}")
        hosts.restart(f"worker-{other}")
        hosts.wait_flowing()
        assert lists_of(hosts) == lists
        hosts.lose(former)
        _is_taken_over(hosts, former)
        hosts.wait_flowing(90)
        is_content(hosts)
        more = lists_of(hosts)
        more.subtract(lists)
        # A list brings what the archive does not hold: the objects.
        assert all(count <= 1 for count in more.values()), more
        assert dead_letters(hosts, other) == 1
        assert failures(hosts, name) == 2, "a dead letter is not tried again"


def _is_taken_over(hosts: TwoHosts, former: int) -> None:
    wait_until(
        "the other host to have the shards",
        lambda: "is filled from its archive" in hosts.log(f"standby-{former}"),
        seconds=60,
    )
