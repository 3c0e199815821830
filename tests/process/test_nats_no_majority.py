"""A majority of the NATS servers is lost, or all of them: nothing is read on, NATS is named, and nothing is lost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.nats_servers import NatsServers
from tests.support.pipeline import Pipeline, ServerProcess, running, wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("nats"),
]

# More in each second than a stream's credit, so that what holds the watch back is reached soon.
FLOOD_PER_S = 600.0
CHANGES = 1500


@contextmanager
def three_servers(folder: Path) -> Iterator[tuple[NatsServers, ServerProcess, Pipeline]]:
    """A pipeline on three NATS servers that is ready."""
    with NatsServers(folder / "nats", count=3) as servers:
        engine = {"kind": "nats", "servers": servers.urls, "replicas": 3, "max_bytes": "256MiB"}
        with running(folder, "--objects", "pods=40", "--churn", "20/s", engine=engine) as (server, pipeline):
            wait_until("all to be ready", lambda: pipeline.status().get("ready"), seconds=90, every_s=0.2)
            servers.wait_caught_up()
            yield servers, server, pipeline


def test_two_of_three_servers_lost_hold_the_watch_back_and_with_one_of_them_back_all_goes_on(tmp_path: Path):
    with three_servers(tmp_path) as (servers, server, pipeline):
        servers.kill(0)
        servers.kill(1)
        is_named(pipeline)
        is_held_back(server, pipeline)
        servers.start(0)
        all_goes_on(server, pipeline)


def test_all_servers_down_at_once_hold_the_watch_back_and_when_they_are_back_all_goes_on(tmp_path: Path):
    with three_servers(tmp_path) as (servers, server, pipeline):
        for index in range(3):
            servers.kill(index)
        is_named(pipeline)
        is_held_back(server, pipeline)
        for index in range(3):
            servers.start(index)
        all_goes_on(server, pipeline)


def is_named(pipeline: Pipeline) -> None:
    """What is not ready says that NATS is the cause."""

    def said() -> bool:
        lines = pipeline.status().get("unready", [])
        return any(line.startswith("dev/pods:") and "queue on NATS stands still" in line for line in lines)

    wait_until("NATS to be named", said, seconds=60, every_s=0.1)


def is_held_back(server: ServerProcess, pipeline: Pipeline) -> None:
    """The API server goes on, the reflector reads no further, and no handler gets anything."""
    server.churn(FLOOD_PER_S)
    still = steady(lambda: after_changes(server, lambda: events_read(pipeline)))
    assert still is not None, "the watch is read on although nothing can be queued"
    before = pipeline.offsets()
    after_changes(server, lambda: None)
    assert not any(pipeline.calls_since(before).values()), "a handler got what no server has"
    server.churn(20)


def steady(look: Callable[[], Any], *, looks_max: int = 12) -> Any:
    """What was seen twice, one after the other; None if it is never the same."""
    seen = None
    for _ in range(looks_max):
        now = look()
        if now is not None and now == seen:
            return now
        seen = now
    return None


def after_changes(server: ServerProcess, look: Callable[[], Any]) -> Any:
    """What ``look`` says after so many more changes on the API server."""
    begin = version(server)
    wait_until("changes", lambda: version(server) >= begin + CHANGES, seconds=60)
    return look()


def version(server: ServerProcess) -> int:
    return int(server.call("GET", "/api/v1/pods?limit=1").json()["metadata"]["resourceVersion"])


def events_read(pipeline: Pipeline) -> int | None:
    """Of the stream of pods, by its reflector; None without an answer."""
    streams = pipeline.status().get("streams", {})
    return sum(s["events"] for name, s in streams.items() if name.startswith("dev/pods@")) or None


def all_goes_on(server: ServerProcess, pipeline: Pipeline) -> None:
    """Ready again, calls come, and the outside judge finds nothing that is lost or invented."""
    wait_until("all to be ready", lambda: pipeline.status().get("ready"), seconds=120, every_s=0.2)
    before = pipeline.offsets()
    wait_until("calls", lambda: all(pipeline.calls_since(before).values()), seconds=60)
    server.churn(0)
    verdict = pipeline.judge_in_the_end(90)
    assert verdict["complaints"] == 0, verdict
