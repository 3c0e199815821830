"""`deltawire shards`: a worker's place moves to a host that waits for it, also under kills."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deltawire.common.store.host import host_of
from deltawire.jetstream.moves import Here, who_is_there
from tests.support.nats_connections import connecting
from tests.support.nats_hosts import TwoHosts
from tests.support.nats_moves import dead_letters, failures, is_content, lists_of, with_a_dead_letter
from tests.support.nats_servers import NatsServers
from tests.support.pipeline import DELTAWIRE, Pipeline, running, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300), pytest.mark.xdist_group("nats")]

PLACE = "worker-0"
# Of the worker of that place on each host.
NAMES = ("worker-0", "standby-0")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[TwoHosts]:
    with TwoHosts(tmp_path, archive=True) as hosts:
        hosts.wait_listed()
        yield hosts


def test_a_place_moves_to_a_host_that_waits_for_it_and_back_and_nobody_notices(hosts: TwoHosts) -> None:
    name, before = with_a_dead_letter(hosts), lists_of(hosts)
    refused = command(hosts, "move", PLACE, "--to", "elsewhere")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert f"no worker of host 'elsewhere' waits for {PLACE}" in refused.stderr
    for to in (1, 0):
        done = command(hosts, "move", PLACE, "--to", host_of(hosts.state(to)))
        assert done.returncode == 0, done.stderr
        wait_until("one that says so", lambda: owner_of(hosts, PLACE) == to, every_s=0.3)  # noqa: B023
        hosts.wait_flowing()
    found = wait_until("a standby of each place", lambda: with_standbys(hosts), seconds=60, every_s=0.5)
    assert {place["host"] for place in found["places"].values()} == {host_of(hosts.state(n)) for n in range(2)}
    fences = [row["fence"] for row in found["shards"] if row["place"] == PLACE]
    assert fences
    assert all(fence > 2 for fence in fences), "each owner has one of its own"
    is_content(hosts)
    more = lists_of(hosts)
    more.subtract(before)
    # A list brings what the archive does not hold: the objects.
    assert all(count <= 2 for count in more.values()), more
    assert sum(dead_letters(hosts, host) for host in range(2)) >= 1
    assert failures(hosts, name) == 2, "a dead letter is not tried again"


@pytest.mark.long
def test_whoever_is_killed_in_the_middle_of_a_move_the_place_has_an_owner_and_nothing_is_lost(
    hosts: TwoHosts,
) -> None:
    name = with_a_dead_letter(hosts)
    for kill in (giver, taker_as_it_is_asked, taker_as_it_takes, givers_broker, takers_broker):
        owner = owner_of(hosts, PLACE)
        wait_until("one who waits", lambda: waits(hosts, PLACE, 1 - owner), seconds=60, every_s=0.3)  # noqa: B023
        log = NAMES[owner]
        asked, passed = (hosts.log(log).count(words) for words in ("passes worker-0 on", "is passed on to"))
        moving = subprocess.Popen(
            [str(DELTAWIRE), "shards", "move", PLACE, "--to", host_of(hosts.state(1 - owner)),
             "-c", str(hosts.config(0))],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            seen(hosts, log, "passes worker-0 on", asked)
            if kill is taker_as_it_takes:
                seen(hosts, log, "is passed on to", passed)
            hosts.restart(kill(owner))
            # One that is killed before it passed the place on has it again; else the other one has it.
            wait_until(
                f"an owner of each place, after a kill of {kill(owner)}",
                lambda: all(len(at_work(hosts, place)) == 1 for place in ("worker-0", "worker-1")),
                seconds=90,
                every_s=0.3,
            )
            hosts.wait_flowing(90)
        finally:
            moving.kill()
            moving.wait()
    is_content(hosts)
    assert sum(dead_letters(hosts, host) for host in range(2)) >= 1
    assert failures(hosts, name) == 2, "a dead letter is not tried again"


def giver(owner: int) -> str:
    return NAMES[owner]


def taker_as_it_is_asked(owner: int) -> str:
    return NAMES[1 - owner]


def taker_as_it_takes(owner: int) -> str:
    return NAMES[1 - owner]


def givers_broker(owner: int) -> str:
    return f"fifo-{owner}"


def takers_broker(owner: int) -> str:
    return f"fifo-{1 - owner}"


@pytest.mark.long
def test_a_second_host_shows_itself_as_a_standby_and_takes_over_when_the_first_one_is_lost(tmp_path: Path) -> None:
    with NatsServers(tmp_path / "nats") as nats:
        queue: dict[str, Any] = {
            "engine": {"kind": "nats", "servers": nats.urls, "replicas": 1, "max_bytes": "256MiB"},
            "archive": {"servers": nats.urls, "replicas": 1, "max_bytes": "256MiB"},
        }
        with running(tmp_path, "--objects", "pods=20", "--churn", "10/s", **queue) as (server, first):
            first.wait_synced(60)
            folder = tmp_path / "second"
            folder.mkdir()
            second = Pipeline(folder, server.kubeconfig, **queue)
            try:
                second.up()
                first_host = host_of(tmp_path / "state")

                def waits_and_knows() -> Any:
                    status = second.status()
                    words = status.get("processes", {}).get(PLACE, {}).get("standby", "")
                    is_known = first_host[:8] in words and states(second) == {"standby"}
                    return is_known and status["core_faults"] == [] and status

                status = wait_until("standbys that know for whom", waits_and_knows, seconds=60, every_s=0.2)
                assert not [line for line in status["unready"] if "worker-" in line and "is not heard" in line]

                second_host = host_of(folder / "state")

                def places() -> list[dict[str, Any]]:
                    shown = json.loads(second.run("status", "--json").stdout)
                    return list((shown.get("places") or {}).values())

                wait_until(
                    "places of both hosts",
                    lambda: [
                        (place["host"], [second_host[:8] in words for words in place["standbys"]])
                        for place in places()
                    ] == [(first_host, [True])] * 2,
                    seconds=60,
                    every_s=0.5,
                )  # fmt: skip
                wait_until(
                    "a host that only waits to say that all is ready over both",
                    lambda: second.run("status", "--ready").returncode == 0,
                    seconds=60,
                    every_s=0.5,
                )
                assert not second.status().get("ready"), "its own readiness is of its own shards"
                words = status["processes"][PLACE]["standby"]

                def is_shown() -> bool:
                    text = second.run("status").stdout
                    return "LED BY" in text and f"STANDBY {PLACE}: {words}" in text

                wait_until("both in the text", is_shown, seconds=60, every_s=0.5)
                letters = second.run_words("dead-letters", "list")
                assert "this is of this host only: worker-0, worker-1 wait here" in letters.stderr
                first.kill_everything()
                wait_until("the second host to work", lambda: states(second) == {"ready"}, seconds=60)
                second.wait_synced(60)
            finally:
                second.close()


def states(pipeline: Pipeline) -> set[str]:
    return {p["state"] for p in pipeline.status().get("processes", {}).values() if p["role"] == "informer"}


def seen(hosts: TwoHosts, name: str, words: str, before: int) -> None:
    wait_until(f"{words!r} in the log of {name}", lambda: hosts.log(name).count(words) > before, every_s=0.01)


def command(hosts: TwoHosts, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DELTAWIRE), "shards", *words, "-c", str(hosts.config(1))],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def heard(hosts: TwoHosts, place: str) -> list[Here]:
    """What workers of the place say."""
    with connecting(*hosts.nats.urls) as connection:

        async def ask() -> list[Here]:
            await connection.connected()
            return await who_is_there(connection)

        return [here for here in connection.wait(ask(), 20) if here.place == place]


def at_work(hosts: TwoHosts, place: str) -> list[Here]:
    """Those that say that they have it."""
    return [here for here in heard(hosts, place) if here.works]


def waits(hosts: TwoHosts, place: str, host: int) -> bool:
    """True if the worker of that host says that it waits for the place."""
    name = host_of(hosts.state(host))
    return any(here.host == name and not here.holds for here in heard(hosts, place))


def with_standbys(hosts: TwoHosts) -> dict[str, Any] | None:
    """What `shards list` says once it knows of somebody who waits for each place."""
    done = command(hosts, "list", "--json")
    found: dict[str, Any] = json.loads(done.stdout or "{}")
    places = found.get("places", {}).values()
    return found if places and all(len(place["standbys"]) == 1 for place in places) else None


def owner_of(hosts: TwoHosts, place: str) -> int:
    found: list[Here] = []

    def is_one() -> bool:
        found[:] = at_work(hosts, place)
        return len(found) == 1

    wait_until(f"one owner of {place}", is_one, seconds=60)
    return [host_of(hosts.state(host)) for host in range(2)].index(found[0].host)

