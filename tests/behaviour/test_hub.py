"""A hub on real sockets: roles report to it, commands ask it, and it says what it cannot do."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from deltawire.cli.requests import Supervision
from deltawire.cli.session import LOCK
from deltawire.cli.supervisor.hub import Hub
from deltawire.common.clock import SystemClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.control import Control
from deltawire.common.errors import DeltawireError
from deltawire.common.loop import Loop
from deltawire.common.store import folder as state_folder
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import new_identity
from tests.support.patience import Patience

CLOCK = SystemClock()


@pytest.fixture
def heartbeat_s() -> float:
    return 0.2


@pytest.fixture
def plan(tmp_path: Path, heartbeat_s: float) -> Plan:
    return Plan(
        parse(
            {
                "version": 1,
                "store": {"dir": str(tmp_path / "state")},
                "runtime": {
                    "dir": str(tmp_path),
                    "control": True,
                    "heartbeat": heartbeat_s,
                    "health": str(tmp_path / "health"),
                },
                "informers": [{"resource": "pods"}],
            }
        )
    )


@pytest.fixture
def hub(plan: Plan) -> Iterator[None]:
    stop = threading.Event()
    state_folder.prepare(plan.store_dir, plan.shards)
    # As `deltawire hub` does: by this lock commands know that somebody will answer.
    with state_folder.hold(plan.store_dir, LOCK):
        thread = threading.Thread(target=Hub(plan, clock=CLOCK).run, args=(stop,))
        thread.start()
        yield
        stop.set()
        thread.join(5)
        assert not thread.is_alive()


class Broker:
    """As much of a broker as reports: one turn of its main loop at a time."""

    def __init__(self, plan: Plan) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._heartbeat = Heartbeat(self._context, plan.heartbeat_s)
        identity = new_identity("fifo", "fifo")
        self._control = Control(self._context, plan, identity, self._heartbeat, clock=CLOCK)
        self._loop = Loop(CLOCK, self._heartbeat)
        self._control.join(self._loop, lambda: {"informers": {"default/pods": {"published": 7}}})

    def turn(self) -> None:
        self._loop.turn(wait_s_max=0)

    def beat(self) -> None:
        """From now on its beats go on by themselves, whether or not it turns."""
        self._heartbeat.start()

    def close(self) -> None:
        self._heartbeat.stop()
        self._control.close()
        self._context.term()


@pytest.fixture
def start_broker(plan: Plan) -> Iterator[Callable[[], Broker]]:
    started: list[Broker] = []

    def start() -> Broker:
        started.append(Broker(plan))
        return started[-1]

    yield start
    for broker in started:
        broker.close()


def turn_until(broker: Broker, done: Callable[[], Any], seconds: float = 10.0) -> Any:
    patience = Patience(seconds)
    while not patience.is_over():
        broker.turn()
        if value := done():
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s")


def test_what_a_role_reports_is_in_the_status_that_a_command_gets(
    plan: Plan, hub: None, start_broker: Callable[[], Broker]
) -> None:
    broker = start_broker()
    with Supervision(plan) as supervision:

        def ready() -> Any:
            status = supervision.ask("status")
            return status if status["processes"]["fifo"]["state"] == "ready" else None

        status = turn_until(broker, ready)
        assert status["processes"]["reflector-0"]["state"] == "waiting"
        assert status["processes"]["fifo"]["rss_mb"] > 0
        assert status["totals"]["published"] == 7


def test_a_second_life_counts_as_a_restart_and_its_counters_go_on(
    plan: Plan, hub: None, start_broker: Callable[[], Broker]
) -> None:
    with Supervision(plan) as supervision:

        def published(total: int) -> Callable[[], Any]:
            return lambda: supervision.ask("status")["totals"]["published"] == total

        turn_until(start_broker(), published(7))
        turn_until(start_broker(), published(14))
        assert supervision.ask("status")["processes"]["fifo"]["restarts"] == 1


def test_a_kill_is_refused_with_what_to_do_instead(plan: Plan, hub: None) -> None:
    with Supervision(plan) as supervision, pytest.raises(DeltawireError, match="docker kill"):
        supervision.ask("kill", {"name": "fifo"})


def test_the_health_file_stands_while_the_hub_runs(plan: Plan, tmp_path: Path) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=Hub(plan, clock=CLOCK).run, args=(stop,))
    thread.start()
    patience = Patience(5)
    while not (tmp_path / "health").exists() and not patience.is_over():
        time.sleep(0.01)
    stood = (tmp_path / "health").exists()
    stop.set()
    thread.join(5)
    assert stood
    assert not (tmp_path / "health").exists()


def state_of(supervision: Supervision) -> str:
    return str(supervision.ask("status")["processes"]["fifo"]["state"])


def test_a_role_whose_beats_go_on_while_its_loop_stands_still_is_not_heard(
    plan: Plan, hub: None, start_broker: Callable[[], Broker]
) -> None:
    with Supervision(plan) as supervision:
        broker = start_broker()
        broker.beat()
        turn_until(broker, lambda: state_of(supervision) == "ready")
        deadline_s = time.monotonic() + 20
        while state_of(supervision) != "silent":
            assert time.monotonic() < deadline_s, "its loop has not turned for many beats"
            time.sleep(0.05)
        assert "fifo is not heard" in supervision.ask("status")["core_faults"]
        turn_until(broker, lambda: state_of(supervision) == "ready")


@pytest.mark.parametrize("heartbeat_s", [60])
def test_the_end_of_a_process_that_cannot_be_seen_is_found_by_its_connection(
    plan: Plan, hub: None, start_broker: Callable[[], Broker]
) -> None:
    """Three beats are three minutes here, and the process lives: only its connection has ended."""
    with Supervision(plan) as supervision:
        broker = start_broker()
        turn_until(broker, lambda: state_of(supervision) == "ready")
        broker._control.close()
        deadline_s = time.monotonic() + 20
        while state_of(supervision) != "silent":
            assert time.monotonic() < deadline_s, "nobody has found it"
            time.sleep(0.05)
