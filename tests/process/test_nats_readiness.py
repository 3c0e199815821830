"""P8 with `engine: nats`: what stops the queue on the servers is not ready, and named."""

from collections.abc import Iterator
from typing import Any

import pytest

from deltawire.jetstream.connection import Connection
from tests.support.nats_connections import connecting
from tests.support.nats_servers import NatsServers
from tests.support.pipeline import Pipeline, running, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240), pytest.mark.xdist_group("nats")]

# Far less than the 150 s after which an informer that nothing is heard of is not fresh.
SECONDS = 40.0


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NatsServers, Pipeline]]:
    folder = tmp_path_factory.mktemp("nats")
    with NatsServers(folder / "nats") as servers:
        engine = {"kind": "nats", "servers": servers.urls, "replicas": 1}
        with running(folder, "--objects", "pods=20", "--churn", "20/s", engine=engine) as (_, pipeline):
            yield servers, pipeline


def test_a_full_stream_is_not_ready_and_named_until_there_is_room(up: tuple[NatsServers, Pipeline]) -> None:
    servers, pipeline = up
    wait_ready(pipeline)
    with connecting(*servers.urls) as connection:
        limit(connection, full=True)
        unready(pipeline, "its queue on NATS stands still: dev/pods is not published", "engine.max_bytes")
        limit(connection, full=False)
        wait_ready(pipeline)


def test_servers_that_are_not_reached_are_not_ready_and_named_until_they_are_back(
    up: tuple[NatsServers, Pipeline],
) -> None:
    servers, pipeline = up
    wait_ready(pipeline)
    servers.kill(0)
    unready(pipeline, "its queue on NATS stands still", servers.urls[0])
    servers.start(0)
    wait_ready(pipeline)


def test_servers_that_are_connected_and_do_not_answer_are_not_ready_and_named(
    up: tuple[NatsServers, Pipeline],
) -> None:
    servers, pipeline = up
    wait_ready(pipeline)
    servers.stop(0)
    unready(pipeline, "its queue on NATS stands still")
    servers.go_on(0)
    wait_ready(pipeline)


def wait_ready(pipeline: Pipeline) -> None:
    wait_until("all to be ready", lambda: pipeline.status().get("ready"), seconds=90, every_s=0.2)


def unready(pipeline: Pipeline, *words: str) -> None:
    """Until a line that says why pods are not ready has all of ``words``."""

    def is_said() -> bool:
        lines = [line for line in pipeline.status().get("unready", []) if line.startswith("dev/pods:")]
        return any(all(word in line for word in words) for line in lines)

    wait_until(f"{words} in what is not ready", is_said, seconds=SECONDS, every_s=0.1)


def limit(connection: Connection, *, full: bool) -> None:
    """The stream of pods has more bytes than it may have, whatever is thrown away of it; or it may have a GiB."""

    async def set_limit() -> None:
        await connection.connected()
        found: Any = await connection.jetstream().stream_info("deltawire+dev+pods")
        bytes_max = 1 if full else 1024**3
        await connection.jetstream().update_stream(found.config.evolve(max_bytes=bytes_max))

    connection.wait(set_limit(), 20)

