"""Each role on a host of its own, over TCP with keys: packets vanish between them, and so do hosts and addresses.

No connection is ended and none is refused, as where a cable is pulled out. Each time all is ready again within the
bound that docs/wire.md states, nothing is listed again, and the outside judge is content. The seconds are printed
(`-s`). The product's seconds are not asserted: `SLACK_S` is what a busy machine may add.
"""

import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from deltawire.client.rest.connection import USER_TIMEOUT_MS
from deltawire.reflector.connection import IDLE_S_MIN
from tests.support import netns
from tests.support.spread import CALLS, HEARTBEAT_S, REASONS, Spread
from tests.support.stage import pass_time

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]
one_process = pytest.mark.xdist_group("netns")
other_process = pytest.mark.xdist_group("netns-2")

# Until a cut shows: three silent beats, and what is on its way then.
NOTICED_S = 4 * HEARTBEAT_S
SILENT_S, SILENT_TCP_S = IDLE_S_MIN + HEARTBEAT_S, USER_TIMEOUT_MS / 1000 + HEARTBEAT_S
# From the end of the trouble on; longer where the stream's next attempt is not due yet (`Backoff`).
RECOVERED_S = 10.0
SLACK_S = 60.0
# Longer than the three heartbeats after which a peer is gone.
SHORT_S = 4 * HEARTBEAT_S
# Longer than any time-out of TCP: both ends have given their connections up.
LONG_S = USER_TIMEOUT_MS / 1000 + 10


@pytest.fixture(autouse=True)
def namespaces() -> None:
    netns.require()


def recovers(spread: Spread, what: str, within_s: float = RECOVERED_S) -> None:
    """All is ready, and a second's changes are handled; the seconds since now are printed."""
    began_s = time.monotonic()
    spread.wait_ready(within_s + SLACK_S)
    spread.wait_flowing(within_s + SLACK_S, calls=CALLS)
    took_s = time.monotonic() - began_s
    print(f"{what}: all was well again after {took_s:.1f} s ({within_s:.0f} s are stated)")


def notices(spread: Spread, reason: str, within_s: float) -> float:
    noticed_s = spread.wait_unready(within_s + SLACK_S, reason=reason)
    print(f"{reason!r} after {noticed_s:.1f} s ({within_s:.0f} s are stated)")
    return noticed_s


def cut(spread: Spread, links: Iterable[tuple[str, str]]) -> None:
    for link in links:
        spread.hosts.cut(*link)


def heal(spread: Spread, links: Iterable[tuple[str, str]]) -> None:
    for link in links:
        spread.hosts.heal(*link)


def begin(spread: Spread) -> int:
    """The number of lists once all is ready."""
    spread.wait_ready(90)
    spread.wait_flowing(calls=CALLS)
    return spread.lists()


def end(spread: Spread, lists: int) -> None:
    assert spread.lists() == lists, "what a network does must not list"
    spread.settle_and_judge()


@one_process
def test_a_worker_that_nothing_reaches_is_not_ready_and_goes_on_without_a_list_when_packets_pass_again(
    tmp_path: Path,
):
    links = [("worker", "broker"), ("handler", "worker"), ("worker", "hub")]
    with Spread(tmp_path) as spread:
        lists = begin(spread)
        cut(spread, links)
        notices(spread, "worker-0 is not heard", NOTICED_S)
        heal(spread, links)
        recovers(spread, "a worker that nothing reached")
        end(spread, lists)


@one_process
@pytest.mark.long
def test_a_partition_between_any_two_roles_is_seen_and_ends_without_a_list(tmp_path: Path):
    with Spread(tmp_path) as spread:
        lists = begin(spread)
        for link, reason in REASONS.items():
            spread.hosts.cut(*link)
            noticed_s = notices(spread, reason, SILENT_S if "api" in link else NOTICED_S)
            pass_time(max(0.0, SHORT_S - noticed_s))
            spread.hosts.heal(*link)
            recovers(spread, f"{link} cut for {SHORT_S:.0f} s")
        end(spread, lists)


@one_process
@pytest.mark.long
def test_packets_that_pass_one_way_only_are_as_none(tmp_path: Path):
    with Spread(tmp_path) as spread:
        lists = begin(spread)
        for link in (("broker", "worker"), ("handler", "worker"), ("hub", "reflector")):
            reason = REASONS[link] if link in REASONS else REASONS[link[::-1]]
            spread.hosts.cut(*link, one_way=True)
            # What had been sent before the window of TCP was full is heard.
            notices(spread, reason, NOTICED_S + HEARTBEAT_S)
            spread.hosts.heal(*link)
            recovers(spread, f"{link[0]} to {link[1]} cut")
        end(spread, lists)


@other_process
@pytest.mark.long
def test_a_partition_of_all_roles_that_no_connection_outlives_ends_without_a_list(tmp_path: Path):
    with Spread(tmp_path) as spread:
        lists = begin(spread)
        cut(spread, REASONS)
        pass_time(LONG_S)
        heal(spread, REASONS)
        recovers(spread, f"all links cut for {LONG_S:.0f} s", LONG_S)
        end(spread, lists)


@other_process
@pytest.mark.long
def test_hosts_that_are_lost_and_remade_come_back_beside_connections_that_know_nothing_of_it(tmp_path: Path):
    with Spread(tmp_path) as spread:
        lists = begin(spread)
        for host in ("handler", "worker", "broker", "reflector", "hub"):
            spread.remake(host)
            recovers(spread, f"host {host} remade")
        end(spread, lists)


@other_process
@pytest.mark.long
def test_a_host_that_loses_its_address_comes_back_with_it_and_with_another(tmp_path: Path):
    with Spread(tmp_path) as spread:
        lists = begin(spread)
        for host, is_another in (("reflector", True), ("worker", True), ("broker", False)):
            spread.hosts.take_address(host)
            spread.wait_unready(NOTICED_S + SLACK_S)
            pass_time(SHORT_S)
            spread.hosts.give_address(host, f"10.77.{spread.hosts[host].number}.9" if is_another else "")
            recovers(spread, f"{host} with {'another' if is_another else 'its'} address")
        end(spread, lists)


@other_process
@pytest.mark.long
def test_links_that_lose_and_delay_packets_make_it_slow_and_lose_nothing(tmp_path: Path):
    hosts = ("broker", "worker")
    with Spread(tmp_path, slow=hosts) as spread:
        lists = begin(spread)
        for loss, delay_ms in ((0.0, 100.0), (0.05, 20.0), (0.2, 0.0)):
            for host in hosts:
                spread.hosts.impair(host, loss=loss, delay_ms=delay_ms)
            took_s = spread.wait_flowing(120, calls=60)
            print(f"{loss:.0%} lost, {delay_ms:.0f} ms later: 60 calls took {took_s:.1f} s")
        for host in hosts:
            spread.hosts.impair(host)
        recovers(spread, "loss and delay")
        end(spread, lists)


@one_process
@pytest.mark.long
def test_a_silent_watch_whose_bookmarks_are_not_known_is_found_by_tcp_within_its_time(tmp_path: Path):
    with Spread(tmp_path, bookmarks_s=3600) as spread:
        lists = begin(spread)
        spread.hosts.cut("reflector", "api")
        notices(spread, REASONS["reflector", "api"], SILENT_TCP_S)
        spread.hosts.heal("reflector", "api")
        recovers(spread, "the API server behind a cut")
        end(spread, lists)
