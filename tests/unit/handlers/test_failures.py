"""What is said of a function that raised."""

import logging

import pytest

from deltawire.common.clock import FakeClock
from deltawire.handlers.api import Handler
from deltawire.handlers.failures import AGAIN_EVERY_S, FAILURES_MAX, Failures, shortened
from deltawire.handlers.testing import Harness


def pod(name="web"):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "ns"}}


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.fixture
def failures(caplog):
    clock = FakeClock()
    log = logging.getLogger("handler.h")
    caplog.set_level(logging.INFO, "handler.h")
    return Failures(log, clock), clock, caplog


def test_a_traceback_begins_with_the_authors_own_frame(caplog):
    handler = Handler("h")

    @handler.on_add("pods")
    async def added(pod):
        inner(pod)

    def inner(pod):
        pod["spec"]

    harness = Harness(handler)
    [handled] = harness.apply(pod())
    harness.close()
    assert handled.error == "KeyError: 'spec'"
    lines = handled.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert __file__ in lines[1] and "in added" in lines[1]
    assert "in inner" in handled.traceback
    assert "concurrent/futures" not in caplog.text and "calls.py" not in caplog.text
    assert "in inner" in caplog.text


def test_the_same_failure_is_told_once_and_then_how_often_again(failures):
    told, clock, caplog = failures
    errors = [raised(ValueError("x")) for _ in range(5)]
    for number, error in enumerate(errors, 1):
        told.tell("ns/a", number, error)
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info
    clock.advance(AGAIN_EVERY_S)
    told.tell("ns/b", 6, raised(ValueError("y")))
    assert "ns/b: attempt 6 failed, again ×5: ValueError: y (" in caplog.records[1].getMessage()
    assert not caplog.records[1].exc_info


def test_another_failure_is_told_in_full(failures):
    told, _, caplog = failures
    told.tell("ns/a", 1, raised(ValueError("x")))
    told.tell("ns/a", 2, raised(TypeError("x")))
    assert [bool(record.exc_info) for record in caplog.records] == [True, True]


def test_what_is_remembered_of_failures_is_bounded(failures):
    told, _, _ = failures
    for number in range(FAILURES_MAX + 10):
        told.tell("ns/a", 1, raised(type(f"E{number}", (Exception,), {})()))
    assert len(told._seen) == FAILURES_MAX


def test_a_failure_that_is_cut_keeps_its_line_and_the_end_of_its_traceback():
    text = "ValueError: x\n" + "\n".join(f"frame {n}" for n in range(100))
    cut = shortened(text, 60)
    assert len(cut) <= 60
    assert cut.startswith("ValueError: x\n…\n") and cut.endswith("frame 99")
    assert shortened("short", 60) == "short"
    assert shortened("x" * 100, 60) == "x" * 60
