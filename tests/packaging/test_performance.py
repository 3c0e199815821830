"""The benchmark counts what it says it counts."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = ("budgets", "contenders", "figures", "machinery", "pipeline", "source", "walk")


@pytest.fixture
def bench(monkeypatch):
    """The benchmark's modules, which are no package."""
    monkeypatch.syspath_prepend(ROOT / "bench")
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


def test_a_bound_without_a_figure_does_not_hold(bench):
    empty = bench("figures").Results({"contenders": {}, "runs": {}})
    assert {must.measure(empty).holds for must in bench("budgets").MUSTS} == {None}


def test_an_update_that_the_reader_made_late_carries_when_it_was_due(bench, monkeypatch):
    module = bench("source")
    source = module.Source(objects=2, rate_per_s=100)
    monkeypatch.setattr(module.time, "time_ns", lambda: 5_000_000_000)
    stamp = re.compile(rb'"bench/sent-us":"(\d+)"')
    assert stamp.search(source.next(behind_s=0.001))[1] == b"5000000"
    assert stamp.search(source.next(behind_s=0.25))[1] == b"4750000"
    assert (source.sent, source.late) == (2, 1)


def test_a_list_after_an_update_has_the_updated_version(bench):
    source = bench("source").Source(objects=3, rate_per_s=-1)
    before = source.version
    source.next(behind_s=0)
    page = json.loads(bench("source").page(source, True, {"limit": ["2"]}))
    assert page["metadata"] == {
        "resourceVersion": str(before + 1),
        "continue": "2",
        "remainingItemCount": 1,
    }
    assert [item["metadata"]["resourceVersion"] for item in page["items"]][1] == str(before + 1)


def test_what_timers_call_as_often_without_an_update_is_not_on_its_way(bench):
    walk = bench("walk")
    sent, quiet = [1_000_000, 2_000_000], [5_000_000, 6_000_000]
    function = {name: walk.Function("worker", "a.py", 1, 9, name) for name in ("hop", "beside", "timer")}
    calls = {
        function["hop"]: walk.Noted([1_000_300, 2_000_500], carried=[1_000_300, 2_000_500]),
        function["beside"]: walk.Noted([1_000_200, 1_000_201, 2_000_200, 5_000_000]),
        function["timer"]: walk.Noted([1_000_100, 2_000_100, 5_000_100, 6_000_100]),
    }
    hops = walk.way(calls, sent, quiet)
    assert [(hop.function.name, hop.carries, hop.calls) for hop in hops] == [
        ("beside", False, 1.0),
        ("hop", True, 1.0),
    ]
    assert hops[1].after_ms == 0.4
    assert walk.summary(hops).startswith("hops: 1 (reflector 0, broker 0, worker 1, handler 0)")
