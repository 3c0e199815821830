"""What only grows in a handler's process is named once, with the function and what to do."""

import logging
import random
import re
import threading

import pytest

from deltawire import Handler
from deltawire.handlers.leaks import GREW_MIN, STEPS, Growth, Leaks, Meter, figures_of
from deltawire.handlers.testing import Harness

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}}


def told(kind, figures):
    growth = Growth()
    return [found for number in figures for found in growth.look({kind: number}).items()]


@pytest.mark.parametrize("kind", GREW_MIN)
def test_what_grows_for_ten_minutes_is_told_once(kind):
    step = GREW_MIN[kind] // STEPS + 1
    found = told(kind, range(10, 10 + 40 * step, step))
    assert found == [(kind, (10, 10 + STEPS * step))]


@pytest.mark.parametrize(
    ("why", "figures"),
    [
        ("it stands still", [500] * 60),
        ("it is filled once", [10, 400, *[410] * 60]),
        ("it is filled for some minutes", [10, 100, 200, 300, *[310] * 60]),
        ("it goes up and down", [10, 200] * 30),
        ("it grows by little", [10 + n // 4 for n in range(60)]),
    ],
)
def test_what_does_not_grow_on_and_on_is_no_leak(why, figures):
    for kind in GREW_MIN:
        assert told(kind, figures) == [], why


def test_noise_around_a_level_is_never_told():
    noise = random.Random(7)
    for _ in range(200):
        assert told("threads", [30 + noise.randrange(-9, 10) for _ in range(200)]) == []


def leaking(source, figures, calls=3, *, caplog):
    """What is logged when a handler, whose functions `source` registers, has grown and is then called."""
    handler = Handler("h")
    source(handler)
    harness = Harness(handler)
    program = harness._program
    seen = iter(figures)
    leaks = Leaks(lambda: next(seen), program._meter)
    with caplog.at_level(logging.WARNING):
        for _ in figures[:-1]:
            leaks.look()
            if program._meter.is_on:
                for _ in range(calls):
                    harness.apply(POD)
                harness.tick()
        leaks.look()
    harness.close()
    return [record.getMessage() for record in caplog.records if "only grow" in record.getMessage()]


@pytest.mark.parametrize("kind", ["threads", "open files", "MiB of memory", "tasks"])
def test_the_function_that_leaves_the_most_behind_is_named_with_its_line_and_the_remedy(kind, caplog, tmp_path):
    kept, leave = [], threading.Event()

    def leaky(pod):
        if kind == "threads":
            thread = threading.Thread(target=leave.wait)
            thread.start()
            kept.append(thread)
        elif kind == "open files":
            kept.append((tmp_path / "f").open("w"))
        else:
            kept.append([object() for _ in range(50_000)])

    async def leaky_async(pod):
        import asyncio

        kept.append(asyncio.ensure_future(asyncio.sleep(3600)))

    function = leaky_async if kind == "tasks" else leaky

    def source(handler):
        handler.on_add("pods")(function)
        handler.on_update("pods", old=False)(function)
        handler.on_update("pods", old=False)(lambda pod: None)
        handler.timer(every_s=60)(lambda: None)

    figures = [{kind: 100 * n} for n in range(STEPS + 4)]
    try:
        messages = leaking(source, figures, caplog=caplog)
    finally:
        leave.set()
        for one in kept:
            if kind == "threads":
                one.join()
            elif kind == "open files":
                one.close()
    [message] = messages
    assert f"{__file__}:{function.__code__.co_firstlineno}: 0 → 1000 {kind} in 10 min" in message
    assert f"calls of {function.__name__} leave the most behind" in message
    assert re.search(r"\((join|await|close|a list)", message) and "said once" in message


def test_where_no_call_leaves_anything_behind_the_figures_alone_are_told(caplog):
    def source(handler):
        handler.on_add("pods")(lambda pod: None)

    [message] = leaking(source, [{"threads": 100 * n} for n in range(STEPS + 3)], calls=0, caplog=caplog)
    assert message.startswith("0 → 1000 threads in 10 min, and they only grow (join them")


def test_the_figures_are_those_of_this_process(tmp_path):
    before = figures_of(lambda: 3)
    assert before["tasks"] == 3 and before["threads"] >= 1
    if before["open files"]:
        with (tmp_path / "f").open("w"):
            assert figures_of(lambda: 0)["open files"] == before["open files"] + 1
    meter = Meter(lambda: before)
    assert not meter.is_on
