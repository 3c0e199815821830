"""Events are recorded from a pipeline and met again by a handler, in the same order and with the same outcome."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli_rig import Cli, cli_in

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("changes"), pytest.mark.timeout(180)]

PLUGIN = """
from deltawire import Dead, Handler

handler = Handler("odd")


@handler.reconcile("pods")
def seen(key, ctx):
    print("seen", key)
    if key == "ns/refused":
        raise Dead("not this one")
"""
MANIFEST = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns}}
---
apiVersion: v1
kind: Pod
metadata: {name: refused, namespace: ns}
spec: {containers: [{name: c, image: i}]}
"""


@pytest.fixture
def cli() -> Iterator[Cli]:
    with tempfile.TemporaryDirectory(prefix="dw-") as folder:
        yield from cli_in(Path(folder).resolve())


def test_recorded_events_are_replayed_in_one_process_with_the_same_outcome_each_time(cli: Cli) -> None:
    (cli.folder / "odd.py").write_text(PLUGIN)
    (cli.folder / "objects.yaml").write_text(MANIFEST)
    done = cli.run(
        "record", "pods", "cm", "-o", "events.jsonl", "--embedded", "--load", "objects.yaml", "--for", "1s"
    )
    assert done.code == 0, done.err + done.out
    events = [json.loads(line) for line in (cli.folder / "events.jsonl").read_text().splitlines()]
    assert {(e["type"], e["resource"], e["key"]) for e in events} >= {
        ("added", "pods", "ns/refused"),
        ("added", "configmaps", "ns/a"),
    }
    assert (cli.folder / "events.jsonl").stat().st_mode & 0o077 == 0
    first, second = (cli.run("replay", "events.jsonl", "odd.py") for _ in range(2))
    assert (first.code, first.out) == (1, second.out)
    assert "added pods ns/refused dead: not this one" in first.out
    assert "1 dead" in first.out.splitlines()[-1]
    again = cli.run("record", "pods", "-o", "events.jsonl", "--embedded")
    assert (again.code, "is there already" in again.err) == (2, True)


def test_what_cannot_be_replayed_names_file_and_line(cli: Cli) -> None:
    (cli.folder / "odd.py").write_text(PLUGIN)
    (cli.folder / "events.jsonl").write_text('{"type": "gone mad"}\n')
    done = cli.run("replay", "events.jsonl", "odd.py")
    assert done.code == 2
    assert "events.jsonl:1: this is no recorded event" in done.err
    assert cli.run("replay", "none.jsonl", "odd.py").code == 2
    assert "Secrets are not recorded" in cli.run("record", "secrets", "-o", "x", "--embedded").err
