"""A function that fails, in a real pipeline: what a person sees of it, and what can be done."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pipeline import Pipeline, ServerProcess, wait_until

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("dead-letters"), pytest.mark.timeout(180)]

PLUGIN = """
from pathlib import Path
from deltawire import Handler

handler = Handler("faulty", attempts_max=2)

@handler.on_add("configmaps")
def added(obj):
    if not Path(__file__).with_name("mended").exists() and obj["metadata"]["name"] in ("one", "two"):
        look_into(obj)

def look_into(obj):
    return obj["nothing"] if obj["metadata"]["name"] == "one" else 1 / 0
"""


def _dead(pipeline: Pipeline) -> int | None:
    return (pipeline.status().get("groups", {}).get("faulty") or {}).get("dead")


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    server = ServerProcess(tmp_path)
    (tmp_path / "faulty.py").write_text(PLUGIN)
    made = Pipeline(
        tmp_path,
        server.kubeconfig,
        handlers=[{"name": "faulty", "run": str(tmp_path / "faulty.py")}],
        runtime={"reflectors": 1, "workers": 1, "heartbeat": 1},
    )
    try:
        for name in ("one", "two"):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
            server.call("POST", "/api/v1/namespaces/default/configmaps", json=body)
        made.up()
        wait_until("two dead letters", lambda: _dead(made) == 2, seconds=90)
        yield made
    finally:
        if made._process is not None:
            made.down()
        server.stop()


def test_a_failure_is_seen_everywhere_and_mended_by_choice(pipeline: Pipeline) -> None:
    listed = pipeline.run_words("dead-letters", "list").stdout.splitlines()
    assert [line.split()[:4] for line in sorted(listed[1:])] == [
        ["faulty", "configmaps/default/one", "add", "2"],
        ["faulty", "configmaps/default/two", "add", "2"],
    ]
    assert "KeyError: 'nothing'" in "\n".join(listed)
    shown = pipeline.run_words("dead-letters", "show", "faulty", "configmaps/default/one").stdout
    assert (
        "Traceback (most recent call last):" in shown and "in look_into" in shown and '"name": "one"' in shown
    )
    # Ours and the libraries' frames say nothing to an author.
    assert "calls.py" not in shown
    exported = pipeline.run_words("dead-letters", "export", "--where", "error=ZeroDivision").stdout
    assert [json.loads(line)["key"] for line in exported.splitlines()] == ["default/two"]
    traced = pipeline.run_words("trace", "configmaps/default/one").stdout
    assert "dead letter, attempts 2, error KeyError: 'nothing'" in traced
    status = wait_until(
        "the failure in the status", lambda: pipeline.answer()["groups"]["faulty"]["last_error"]
    )
    assert status["error"].startswith(("KeyError", "ZeroDivisionError"))
    assert "LAST FAILURE of faulty at " in pipeline.run_words("status").stdout
    refused = pipeline.run_words("dead-letters", "retry")
    assert (refused.returncode, "name one handler, or say --all" in refused.stderr) == (2, True)
    missing = pipeline.run_words("dead-letters", "retry", "faulty", "configmaps/default/none")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "No such dead letter of configmaps/default/none: `deltawire dead-letters list`" in missing.stderr
    (pipeline.folder / "mended").touch()
    retried = pipeline.run_words("dead-letters", "retry", "--all", "--where", "name=two")
    assert retried.stdout == "1 tried again\n"
    wait_until(
        "the retried one to be done", lambda: pipeline.answer()["groups"]["faulty"]["dead"] == 1, seconds=60
    )
    assert pipeline.run_words("dead-letters", "drop", "faulty").stdout == "1 dropped\n"
    # In a file logs are JSON, each failure's traceback once.
    told = [json.loads(line) for line in pipeline.log.splitlines() if line.startswith("{")]
    tracebacks = [entry for entry in told if "attempt" in entry["message"] and "exception" in entry]
    assert len(tracebacks) == 2
