"""Each role on a host of its own, over TCP with keys: packets vanish between them, and so do hosts and addresses.

Nobody is told: no connection ends, none is refused. Each time the outside judge is content and nothing is listed again.
"""

import time
from pathlib import Path

import pytest

from deltawire.client.rest.connection import USER_TIMEOUT_MS
from tests.support import netns
from tests.support.spread import HEARTBEAT_S, LINKS, Spread
from tests.support.stage import pass_time

pytestmark = [pytest.mark.process, pytest.mark.timeout(400), pytest.mark.xdist_group("netns")]

# Longer than the three heartbeats after which a peer is gone.
SHORT_S = 5 * HEARTBEAT_S
# Longer than any time-out of TCP: both ends have given their connections up.
LONG_S = USER_TIMEOUT_MS / 1000 + 10


@pytest.fixture(autouse=True)
def namespaces() -> None:
    netns.require()


def recovers(spread: Spread, what: str) -> None:
    """All is ready, and goes on; the seconds since now are printed."""
    began_s = time.monotonic()
    spread.wait_ready(120)
    spread.wait_flowing(60)
    print(f"{what}: all was well again after {time.monotonic() - began_s:.1f} s")


def begin(spread: Spread) -> int:
    """The number of lists once all is ready."""
    spread.wait_ready(90)
    spread.wait_flowing()
    return spread.lists()


def end(spread: Spread, lists: int) -> None:
    assert spread.lists() == lists, "what a network does must not list"
    spread.settle_and_judge()


def test_a_worker_that_nothing_reaches_is_not_ready_and_goes_on_without_a_list_when_packets_pass_again(
    tmp_path: Path,
):
    with Spread(tmp_path) as spread:
        lists = begin(spread)
        for other in ("broker", "handler", "hub"):
            spread.hosts.cut("worker", other)
        spread.wait_unready(30)
        pass_time(SHORT_S)
        for other in ("broker", "handler", "hub"):
            spread.hosts.heal("worker", other)
        recovers(spread, "a worker's host")
        end(spread, lists)


@pytest.mark.long
@pytest.mark.parametrize("seconds", [SHORT_S, LONG_S], ids=["short", "long"])
def test_a_partition_between_any_two_roles_is_seen_and_ends_without_a_list(tmp_path: Path, seconds: float):
    with Spread(tmp_path) as spread:
        lists = begin(spread)
        for link in LINKS:
            spread.hosts.cut(*link)
            noticed_s, reason = spread.wait_unready(60)
            print(f"{link}: noticed after {noticed_s:.1f} s: {reason.splitlines()[0]}")
            pass_time(max(0.0, seconds - noticed_s))
            spread.hosts.heal(*link)
            recovers(spread, f"{link} cut for {seconds:.0f} s")
        end(spread, lists)


@pytest.mark.long
def test_hosts_that_are_lost_and_remade_come_back_beside_connections_that_know_nothing_of_it(tmp_path: Path):
    with Spread(tmp_path) as spread:
        lists = begin(spread)
        for host in ("handler", "worker", "broker", "reflector", "hub"):
            spread.remake(host)
            recovers(spread, f"host {host} remade")
        end(spread, lists)


@pytest.mark.long
def test_a_host_that_loses_its_address_comes_back_with_it_and_with_another(tmp_path: Path):
    with Spread(tmp_path) as spread:
        lists = begin(spread)
        for host in ("reflector", "handler", "worker", "broker"):
            for address in ("", f"10.77.{spread.hosts[host].number}.9"):
                spread.hosts.take_address(host)
                spread.wait_unready(60)
                pass_time(SHORT_S)
                spread.hosts.give_address(host, address)
                recovers(spread, f"{host} with {'another' if address else 'its'} address")
        end(spread, lists)


@pytest.mark.long
def test_links_that_lose_and_delay_packets_make_it_slow_and_lose_nothing(tmp_path: Path):
    hosts = ("broker", "worker")
    with Spread(tmp_path, slow=hosts) as spread:
        lists = begin(spread)
        for loss, delay_ms in ((0.0, 100.0), (0.05, 20.0), (0.2, 0.0)):
            for host in hosts:
                spread.hosts.impair(host, loss=loss, delay_ms=delay_ms)
            took_s = spread.wait_flowing(120, calls=100)
            print(f"{loss:.0%} lost, {delay_ms:.0f} ms later: 100 calls took {took_s:.1f} s")
        for host in hosts:
            spread.hosts.impair(host)
        recovers(spread, "loss and delay")
        end(spread, lists)


@pytest.mark.long
def test_a_silent_watch_whose_bookmarks_are_not_known_is_found_by_tcp_within_its_time(tmp_path: Path):
    with Spread(tmp_path, bookmarks_s=3600) as spread:
        lists = begin(spread)
        spread.hosts.cut("reflector", "api")
        noticed_s, reason = spread.wait_unready(120)
        print(f"noticed after {noticed_s:.1f} s: {reason}")
        assert "dev/pods" in reason
        spread.hosts.heal("reflector", "api")
        recovers(spread, "the API server's host")
        end(spread, lists)
