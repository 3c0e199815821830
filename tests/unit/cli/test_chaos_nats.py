"""The parts of a chaos run on two hosts: its schedule, its ways, and who has which place."""

import json
import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.cli.chaos.nats import schedule as nats_schedule
from deltawire.cli.chaos.nats.leases import Holders
from deltawire.cli.chaos.nats.schedule import AWAY_S_MAX, HELD, VICTIMS, schedule
from deltawire.cli.chaos.nats.ways import Ways
from deltawire.common.errors import DeltawireError


def test_a_seed_makes_the_same_schedule_each_time_and_a_longer_one_begins_as_a_shorter_one():
    short = schedule(7, 30)
    assert schedule(7, 30) == short
    assert schedule(7, 90)[: len(short)] == short
    assert schedule(8, 30) != short


def test_in_some_schedules_everything_happens_and_nothing_for_longer_than_it_may():
    actions = [action for seed in range(30) for action in schedule(seed, 60)]
    assert {action.kind for action in actions} == set(nats_schedule._WEIGHTS)
    assert {action.target for action in actions if action.kind == "kill"} == set(VICTIMS)
    assert {action.mode for action in actions if action.kind == "partition"} == set(HELD)
    assert all(0 <= action.amount <= AWAY_S_MAX for action in actions)
    ends = {action.target for action in actions if action.kind == "partition"}
    assert all(re.fullmatch(r"(host-[01]|nats-[012])(>nats-[012])?", target) for target in ends)
    assert all(one != other for one, _, other in (target.partition(">") for target in ends))


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(100):
            self.request.sendall(data)


@pytest.fixture
def echo() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def ways(tmp_path: Path) -> Iterator[Ways]:
    found = Ways(tmp_path)
    found.start()
    yield found
    found.stop()


def connect(ways: Ways, name: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", ways.ports[name]), timeout=30)


@pytest.mark.process
def test_a_way_that_is_held_passes_on_what_came_meanwhile_when_it_is_free_again(ways: Ways, echo: int):
    ways.add("a>b", echo)
    for mode in ("held", "held-there", "held-back"):
        with connect(ways, "a>b") as here:
            here.sendall(b"one")
            assert here.recv(100) == b"one"
            ways.set("a>b", mode)
            here.sendall(b"two")
            here.settimeout(0.2)
            with pytest.raises(TimeoutError):
                here.recv(100)
            here.settimeout(30)
            ways.set("a>b", "free")
            assert here.recv(100) == b"two"


@pytest.mark.process
def test_a_way_that_is_refused_ends_connections_and_one_that_is_slow_takes_its_time(ways: Ways, echo: int):
    ways.add("a>b", echo)
    with connect(ways, "a>b") as here:
        here.sendall(b"one")
        assert here.recv(100) == b"one"
        ways.set("a>b", "refused")
        assert here.recv(100) == b""
    with connect(ways, "a>b") as here:
        assert here.recv(100) == b""
    ways.set("a>b", "free", delay_s=0.1)
    with connect(ways, "a>b") as here:
        began_s = time.monotonic()
        here.sendall(b"slow")
        assert here.recv(100) == b"slow"
        assert time.monotonic() - began_s >= 0.2


@pytest.mark.process
def test_a_way_that_is_aimed_elsewhere_ends_what_was_connected(ways: Ways, echo: int):
    ways.add("worker-0")
    with connect(ways, "worker-0") as here:
        assert here.recv(100) == b"", "it leads nowhere"
    ways.aim("worker-0", echo)
    with connect(ways, "worker-0") as here:
        here.sendall(b"one")
        assert here.recv(100) == b"one"
        ways.aim("worker-0", 0)
        assert here.recv(100) == b""


@pytest.mark.process
def test_what_a_proxy_does_not_understand_is_said(ways: Ways, echo: int):
    ways.add("a>b", echo)
    with pytest.raises(DeltawireError, match="not understood"):
        ways.set("a>b", "sideways")


@pytest.mark.process
def test_the_ways_of_one_end_are_those_to_nats_servers(ways: Ways):
    for name in ("host-0>nats-0", "host-0>nats-1", "nats-0>nats-1", "nats-1>nats-0", "worker-0"):
        ways.add(name)
    assert ways.between("host-0") == ["host-0>nats-0", "host-0>nats-1"]
    assert ways.between("nats-0", "nats-1") == ["nats-0>nats-1", "nats-1>nats-0"]
    assert ways.between("nats-1") == ["host-0>nats-1", "nats-0>nats-1", "nats-1>nats-0"]


def test_a_place_is_led_to_the_host_that_was_the_last_to_get_its_lease(tmp_path: Path):
    holders = Holders(tmp_path, 2, 2)
    assert holders.look() == {}

    def say(name: str, time: str, message: str, end: str = "\n") -> None:
        with (tmp_path / f"{name}.log").open("a") as log:
            log.write(json.dumps({"time": time, "message": message}) + end)

    say("worker-0@0", "2026-01-01T00:00:01Z", "has the lease of worker-0")
    say("worker-1@1", "2026-01-01T00:00:01Z", "waits for the lease of worker-1")
    assert holders.look() == {0: 0}
    say("worker-0@1", "2026-01-01T00:00:05Z", "has the lease of worker-0")
    say("worker-1@1", "2026-01-01T00:00:06Z", "has the lease of worker-1", end="")
    assert holders.look() == {0: 1}, "half a line is none"
    with (tmp_path / "worker-1@1.log").open("a") as log:
        log.write("\nno JSON\n")
    assert holders.look() == {0: 1, 1: 1}
