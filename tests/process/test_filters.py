"""One object beside the churn of others: handlers with a filter get its events only, counted on both sides."""

import json
import sys
from pathlib import Path

import pytest

from tests.support.pipeline import RECORDER, running, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180), pytest.mark.xdist_group("filters")]

PODS = "/api/v1/namespaces/default/pods"
WEBSITE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "website", "labels": {"kind": "website"}},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
PLUGIN = """
import json, pathlib
from deltawire import Handler

handler = Handler("plugin")
OUT = pathlib.Path({out!r})

def note(what, obj):
    with OUT.open("a") as out:
        out.write(json.dumps([what, obj["metadata"]["name"]]) + "\\n")

@handler.on_add("pods", labels="kind=website")
def added(obj): note("add", obj)

@handler.on_update("pods", labels="kind=website")
def updated(old, new): note("update", new)

@handler.on_delete("pods", labels="kind=website")
def deleted(obj, event): note("left" if event.out_of_scope else "delete", obj)
"""


def test_a_handler_with_a_filter_gets_only_its_own_events_beside_the_churn_of_others(tmp_path: Path) -> None:
    plugin, out, calls = tmp_path / "plugin.py", tmp_path / "plugin.calls", tmp_path / "command.calls"
    plugin.write_text(PLUGIN.format(out=str(out)))
    handlers = [
        {"name": "plugin", "run": str(plugin)},
        {
            "name": "command",
            "command": [sys.executable, str(RECORDER), str(calls)],
            "on": [{"resource": "pods", "labels": "kind=website"}],
        },
    ]

    def seen() -> list[str]:
        return [json.loads(line)[0] for line in out.read_text().splitlines()] if out.exists() else []

    def told() -> list[str]:
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [entry["type"] for entry in map(json.loads, lines) if entry["what"] == "end"]

    with running(tmp_path, "--objects", "pods=200", handlers=handlers) as (server, pipeline):
        pipeline.wait_synced()
        server.churn(200)
        server.call("POST", PODS, json=WEBSITE)
        wait_until("the website's add", lambda: seen() == ["add"] and told() == ["added"], seconds=60)
        status = wait_until(
            "changes of others",
            lambda: (s := pipeline.status()) and all(g["filtered"] > 500 for g in s["groups"].values()) and s,
            seconds=90,
        )
        headers = {"Content-Type": "application/merge-patch+json"}
        patch = json.dumps({"metadata": {"labels": {"kind": "retired"}}})
        server.call("PATCH", f"{PODS}/website", data=patch, headers=headers)
        wait_until(
            "its leaving", lambda: seen() == ["add", "left"] and told() == ["added", "deleted"], seconds=60
        )
        for group in status["groups"].values():
            assert group["delivered"] <= 2
            assert group["filter"]["dev/pods"] == [{"labels": "kind=website"}]
        roles = pipeline.answer()["processes"]
        assert {name for name in roles if name.startswith("command")}
    assert seen() == ["add", "left"]
