"""The commands against a pipeline that runs, and the caches after it has stopped."""

import json
import re
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.cli_rig import COMMAND_EVERY_S, Cli, Ended, cli_in, eventually
from tests.support.patience import wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180), pytest.mark.xdist_group("cli")]


@pytest.fixture(scope="module")
def cli() -> Iterator[Cli]:
    """A demo that runs, with few objects and little churn."""
    with tempfile.TemporaryDirectory(prefix="dw-") as folder:
        for made in cli_in(Path(folder).resolve()):
            made.start("up", "--embedded", "--objects", "pods=20", "--churn", "5/s")
            eventually(partial(_is_ready, made), "everything is ready", every_s=COMMAND_EVERY_S)
            yield made


def _is_ready(cli: Cli) -> bool:
    ended = cli.run("status", "--json")
    # Until the supervisor listens there is no answer.
    return ended.code == 0 and bool(json.loads(ended.out).get("ready"))


def first_pod(cli: Cli) -> tuple[str, str]:
    ended = cli.run("get", "pods", "-A", "-o", "json")
    metadata = json.loads(ended.out)["items"][0]["metadata"]
    return metadata["namespace"], metadata["name"]


def test_get_says_how_fresh_the_cache_is(cli: Cli) -> None:
    said = re.compile(r"cache of embedded/deployments\.apps: \d+ objects, as of \d\d:\d\d:\d\d, fresh")

    def fresh() -> Ended | None:
        """On a busy machine a cache may be behind for a moment, and says so."""
        ended = cli.run("get", "deploy", "-A")
        return ended if said.fullmatch(ended.err.partition("\n")[0]) else None

    ended: Ended = wait_until(fresh, "a cache that is said to be fresh", every_s=COMMAND_EVERY_S)
    assert ended.out.splitlines()[0].split() == [
        "NAMESPACE",
        "NAME",
        "READY",
        "UP-TO-DATE",
        "AVAILABLE",
        "AGE",
    ]


def test_one_object_stands_alone_and_names_are_references(cli: Cli) -> None:
    found = json.loads(cli.run("get", "deploy", "-A", "-o", "json").out)["items"][0]
    namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
    one = json.loads(cli.run("get", f"deploy/{name}", "-n", namespace, "-o", "json").out)
    assert (one["kind"], one["metadata"]["uid"]) == ("Deployment", found["metadata"]["uid"])
    assert cli.run("get", "deploy", name, "-n", namespace, "-o", "name").out == f"deployment.apps/{name}\n"


def test_an_index_and_a_field_selector_find_the_same(cli: Cli) -> None:
    pods = json.loads(cli.run("get", "deploy", "-A", "-o", "json").out)
    assert pods["items"]
    node = cli.run("get", "pods", "-A", "-o", "jsonpath={.items[0].spec.nodeName}").out.strip()
    for _ in range(30):  # pods come and go between the two commands
        by_index = cli.run("get", "pods", "-A", "--index", f"by-node={node}", "-o", "name").out
        by_field = cli.run("get", "pods", "-A", "--field-selector", f"spec.nodeName={node}", "-o", "name").out
        if by_index == by_field:
            break
    assert by_index == by_field


def test_what_is_not_cached_or_not_there_is_told(cli: Cli) -> None:
    ended = cli.run("get", "services")
    assert ended.code == 2
    assert "'services' is not cached" in ended.err
    assert "pods" in ended.err
    ended = cli.run("get", "pod", "nobody")
    assert ended.code == 1
    assert 'Error from the cache (NotFound): pods "nobody" not found' in ended.err
    out = cli.run("trace", "pods/nobody").out
    assert "handlers     none has a call, a retry or a dead letter of it" in out


def test_status_lists_both_reflectors_with_one_watch_each(cli: Cli) -> None:
    found = json.loads(cli.run("status", "--json").out)
    assert {s["reflector"] for s in found["streams"].values()} == {"reflector-0", "reflector-1"}
    assert all(s["watches"] == 1 for s in found["streams"].values())
    text = cli.run("status").out
    assert "embedded/pods@*" in text
    assert "reflector-1" in text


def test_trace_follows_an_object_through_every_stage(cli: Cli) -> None:
    for _ in range(5):
        namespace, name = first_pod(cli)
        out = cli.run("trace", f"pods/{name}", "-n", namespace).out
        if "not found" not in out and "not in the cache" not in out:
            break
    stages = [line.split()[0] for line in out.splitlines()[1:]]
    assert stages[:5] == ["API", "reflector", "queue", "cache", "handler"]


def test_tail_shows_changes_as_they_come(cli: Cli) -> None:
    ended = cli.run("tail", "pods", "--for", "3s")
    assert ended.code == 0
    assert any(line.startswith(("+ pods ", "~ pods ", "- pods ")) for line in ended.out.splitlines())


def test_handlers_and_their_dead_letters_are_listed(cli: Cli) -> None:
    assert "pods-per-node" in cli.run("handlers", "list").out
    ended = cli.run("dead-letters", "list")
    assert (ended.code, ended.err) == (0, "No dead letters.\n")
    ended = cli.run("dead-letters", "retry", "nobody")
    assert ended.code == 2
    assert "no handler named 'nobody'" in ended.err


def test_a_killed_reflector_is_back_and_nothing_is_lost(cli: Cli) -> None:
    ended = cli.run("kill", "reflector-0")
    assert ended.code == 0, ended
    assert "restarts 1 · lost 0" in ended.out
    other = json.loads(cli.run("status", "--json").out)["processes"]["reflector-1"]
    assert other["restarts"] == 0


def test_an_unknown_process_is_not_killed(cli: Cli) -> None:
    ended = cli.run("kill", "reflector-9")
    assert ended.code == 1
    assert "no process named 'reflector-9' (processes: apiserver, fifo" in ended.err


def test_check_finds_everything_in_order(cli: Cli) -> None:
    kubeconfig = next(cli.folder.glob("deltawire-*/embedded.kubeconfig"))
    config = cli.folder / "check.yaml"
    config.write_text(
        f"version: 1\nclusters: {{dev: {{kubeconfig: {kubeconfig}}}}}\n"
        "informers: [{resource: pods}, {resource: nopes.example.com}]\n"
    )
    ended = cli.run("check", "-c", str(config))
    assert ended.code == 1
    assert "[ok] informer dev/pods: may be listed and watched" in ended.out
    assert "[!!] informer dev/nopes.example.com: the server has no resource" in ended.out
    assert "in use by a running `deltawire up`" in ended.out


def test_a_state_folder_in_use_names_its_holder(cli: Cli) -> None:
    ended = cli.run("up", "--embedded")
    assert ended.code == 2
    assert "is in use (supervisor.lock is held by process" in ended.err


def test_the_caches_are_read_when_everything_has_stopped() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as folder:
        for cli in cli_in(Path(folder).resolve()):
            ended = cli.run(
                "up", "--embedded", "--objects", "pods=5", "--churn", "0", "--for", "1s", "--json"
            )
            assert ended.code == 0, ended.err
            ended = cli.run("get", "pods", "-A", "-o", "name")
            assert ended.err.endswith("nothing runs, so it may be out of date\n")
            assert len(ended.out.splitlines()) == 5
            # Its output has no reader: `| head` that has seen enough.
            ended = cli.run_unread("get", "pods", "-A", "-o", "yaml")
            assert (ended.code, ended.err.count("\n")) == (0, 1), ended.err
            assert "embedded/pods" in cli.run("status").out
            assert cli.processes() == []


def test_the_first_signal_drains(cli: Cli) -> None:
    """Last in this file: it ends the pipeline of the others."""
    process = cli._started[0]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    eventually(lambda: cli.processes() == [], "nothing is left running")
