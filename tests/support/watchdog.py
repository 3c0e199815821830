"""A test that hangs is ended, in the machine's own time; slow ones are named.

pytest-timeout's alarm rings on while pytest itself is at work between the phases of a test, where an exception is an
INTERNALERROR that ends the session, and counts seconds of the wall. Here it rings in a phase only, whose exceptions
pytest reports, and a test has as much of the machine as was meant (`patience`). The `timeout` setting and marker stay.
"""

import faulthandler
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from tests.support.patience import Patience

# Of its time; a test that uses more is named at the end.
SLOW_SHARE = 0.5
_NAME = "timeout_s"


def timeout_of(item: pytest.Item) -> float:
    """Seconds of patience for the whole test; 0: none."""
    marker = item.get_closest_marker("timeout")
    if marker is not None:
        return float(marker.args[0] if marker.args else marker.kwargs.get("timeout", 0))
    return float(item.config.getini("timeout") or 0)


class Alarm:
    """Rings in the main thread when a test's patience is over, but not between its phases."""

    def __init__(self, seconds: float) -> None:
        self._patience = Patience(seconds)

    def on(self) -> None:
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, max(self._patience.left_s(), 0.1))

    def off(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        left_s = self._patience.left_s()
        if left_s > 0:  # the machine was busy
            signal.setitimer(signal.ITIMER_REAL, max(left_s, 0.1))
            return
        faulthandler.dump_traceback()  # the other threads; pytest shows this one
        pytest.fail(f"hangs: not done within {self._patience.seconds:g} s of patience")


_alarms: dict[str, Alarm] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    seconds = timeout_of(item)
    if seconds > 0:
        _alarms[item.nodeid] = Alarm(seconds)
        item.user_properties.append((_NAME, seconds))
    try:
        return (yield)
    finally:
        _alarms.pop(item.nodeid, None)


def _phase(item: pytest.Item) -> Iterator[Any]:
    alarm = _alarms.get(item.nodeid)
    if alarm is None:
        return (yield)
    alarm.on()
    try:
        return (yield)
    finally:
        alarm.off()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[Any]:
    return (yield from _phase(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[Any]:
    return (yield from _phase(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[Any]:
    # Time for taking things down again, however long the test took.
    if item.nodeid in _alarms:
        _alarms[item.nodeid] = Alarm(timeout_of(item))
    return (yield from _phase(item))


def pytest_timeout_set_timer() -> bool:
    """pytest-timeout's own timer is never set."""
    return True


def pytest_terminal_summary(terminalreporter: Any) -> None:
    spent: dict[str, float] = {}
    limits: dict[str, float] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[report.nodeid] = spent.get(report.nodeid, 0.0) + report.duration
                limits.update((report.nodeid, float(v)) for k, v in report.user_properties if k == _NAME)
    slow = [(s, limits[n], n) for n, s in spent.items() if n in limits and s > SLOW_SHARE * limits[n]]
    if slow:
        terminalreporter.section("used more than half of their time")
        for seconds, limit, name in sorted(slow, reverse=True):
            terminalreporter.line(f"{seconds:7.1f} s of {limit:g} s  {name}")
