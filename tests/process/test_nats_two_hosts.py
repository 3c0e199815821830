"""`engine: nats` on two hosts: the one that leads is killed, or stopped and woken up, and the judge is content."""

import signal
from pathlib import Path

import pytest

from deltawire.jetstream.leases import LEASE_S
from tests.support.nats_hosts import TwoHosts
from tests.support.pipeline import wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180), pytest.mark.xdist_group("nats")]


def test_a_leader_that_is_stopped_past_its_lease_gets_nothing_in_when_it_wakes_up(tmp_path: Path):
    with TwoHosts(tmp_path) as hosts:
        hosts.wait_listed()
        lists = len(hosts.server.reflectors_lists())
        former = hosts.leader()
        assert former is not None
        hosts.signal(f"fifo-{former}", signal.SIGSTOP)
        other = 1 - former
        wait_until("the other to lead", lambda: hosts.reigns(other) > 0, seconds=10 * LEASE_S)
        # The former leader's own worker is cut off with it; the other's goes on.
        wait_until(
            "a published change of the new leader",
            lambda: hosts.server.admin("GET", "requests") and hosts.leader() == other,
            seconds=20,
        )
        hosts.signal(f"fifo-{former}", signal.SIGCONT)
        wait_until(
            "the former leader to step down",
            lambda: "is led by another broker now" in hosts.log(f"fifo-{former}"),
            seconds=30,
        )
        hosts.must_be_content(lists)


@pytest.mark.long
def test_the_death_of_the_leading_host_is_taken_over_without_a_list(tmp_path: Path):
    with TwoHosts(tmp_path) as hosts:
        hosts.wait_listed()
        lists = len(hosts.server.reflectors_lists())
        former = hosts.leader()
        assert former is not None
        hosts.outlive(former, seconds=10 * LEASE_S)
        hosts.must_be_content(lists)


@pytest.mark.long
def test_the_second_host_that_runs_a_workers_index_gets_nothing_and_says_so(tmp_path: Path):
    with TwoHosts(tmp_path) as hosts:
        hosts.wait_listed()
        lists = len(hosts.server.reflectors_lists())
        hosts.start_second(0, host=1)
        wait_until(
            "a line that says why",
            lambda: "worker-0 runs on host" in hosts.log("fifo-1"),
            seconds=60,
        )
        hosts.restart("worker-0")
        hosts.wait_flowing()
        verdict = hosts.judge_in_the_end()
        assert verdict["complaints"] == 0, verdict
        assert len(hosts.server.reflectors_lists()) == lists
