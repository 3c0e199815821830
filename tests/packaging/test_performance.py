"""The performance page shows the committed results, all of them; the benchmark counts what it says it counts."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
FIGURES = re.compile(r"<!-- figures: .*?-->\n\n(?P<tables>.*)\n<!-- end of figures -->", re.DOTALL)
CONTENDERS = {"deltawire", "official", "kubernetes_asyncio", "kopf", "lightkube", "client-go", "kube-rs"}
MODULES = ("budgets", "contenders", "figures", "machinery", "pipeline", "source", "walk")


@pytest.fixture
def bench(monkeypatch):
    """The benchmark's modules, which are no package."""
    monkeypatch.syspath_prepend(ROOT / "bench")
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


def test_the_page_shows_the_tables_of_the_committed_results():
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--tables"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = FIGURES.search(PAGE.read_text())
    assert found
    assert found["tables"] == made


def test_the_results_name_machine_and_commit():
    said = json.loads(RESULTS.read_text())
    assert {"cores", "cpu", "memory_gb", "kernel", "python", "load"} <= said["machine"].keys()
    assert re.fullmatch(r"[0-9a-f]{7,40}", said["commit"])


def test_the_page_links_to_a_picture_of_each_kind():
    links = re.findall(r"!\[[^\]]+\]\((performance/[^)]+)\)", PAGE.read_text())
    assert {Path(link).name for link in links} == {"events.svg", "cpu.svg", "ages.svg", "first-list.svg"}
    for link in links:
        assert (PAGE.parent / link).read_text().startswith("<svg "), link


def test_no_contender_is_missing_in_the_results():
    said = json.loads(RESULTS.read_text())
    assert said["contenders"].keys() == CONTENDERS
    for name, contender in said["contenders"].items():
        assert "skipped" not in contender, name
        assert contender["version"], name
        assert said["runs"]["rates"][name], name


def test_every_bound_of_the_design_has_a_measured_figure(bench):
    results = bench("figures").Results(json.loads(RESULTS.read_text()))
    for must in bench("budgets").MUSTS:
        assert must.measure(results).holds is not None, must.figure


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
