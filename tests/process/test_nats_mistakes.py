"""What operators do to the streams and buckets of a pipeline by hand: it is named, or mended without a loss."""

import json
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deltawire.common.clock import SystemClock
from deltawire.fifo.relay.servers import Servers
from deltawire.jetstream.connection import Connection, NatsError
from deltawire.jetstream.leases import LEASE_S, Lease
from deltawire.jetstream.settings import NatsSettings
from tests.support.nats_connections import until
from tests.support.nats_servers import NatsServers
from tests.support.pipeline import Pipeline, running, wait_until

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("nats")]


@contextmanager
def connected(folder: Path, **settings: Any) -> Iterator[Connection]:
    with NatsServers(folder) as servers:
        connection = Connection(NatsSettings(servers=tuple(servers.urls), **settings), label="t")
        connection.start()
        try:
            yield connection
        finally:
            connection.close()


def done(connection: Connection, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """The result of ``work``, which gets a JetStream context."""

    async def call() -> Any:
        await connection.connected()
        return await work(connection.jetstream())

    return connection.wait(call(), 20)


def test_a_lease_is_had_again_when_somebody_deleted_the_bucket_of_leases(tmp_path: Path):
    with connected(tmp_path) as connection:
        lease = Lease(connection, "one", "a", SystemClock(), lambda is_held: None)
        connection.submit(lease.keep())
        until(lambda: lease.is_valid, "the lease")
        done(connection, lambda js: js.delete_key_value("deltawire_leases"))
        until(
            lambda: not lease.is_valid or _has_row(connection), "an end, or another row", seconds=3 * LEASE_S
        )
        until(lambda: lease.is_valid and _has_row(connection), "the lease again", seconds=3 * LEASE_S)


def _has_row(connection: Connection) -> bool:
    from nats.js.errors import Error

    async def look(js: Any) -> bool:
        try:
            return (await (await js.key_value("deltawire_leases")).get("one")).value == b"a"
        except Error:
            return False

    return bool(done(connection, look))


def test_a_stream_that_could_drop_messages_is_given_the_limits_of_the_config(tmp_path: Path):
    with connected(tmp_path) as connection:
        servers = Servers(connection)
        name, subject = servers.stream("dev/pods"), servers.subject("dev/pods", 0)[:-1] + "*"
        done(
            connection,
            lambda js: js.add_stream(name=name, subjects=[subject], max_age=60, max_msgs=5, max_bytes=99),
        )
        connection.wait(servers.make("dev/pods"), 20)
        config = done(connection, lambda js: js.stream_info(name)).config
        assert (config.max_age, config.max_msgs, str(config.discard)) == (0, -1, "new")
        assert config.max_bytes == connection.settings.max_bytes


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ({"subjects": ["orders.>"]}, "subjects"),
        ({"storage": "memory"}, "storage"),
        ({"retention": "workqueue"}, "retention"),
    ],
)
def test_a_stream_of_the_name_that_is_not_ours_is_left_alone_and_named(
    tmp_path: Path, other: dict[str, Any], field: str
):
    with connected(tmp_path) as connection:
        servers = Servers(connection)
        name, subject = servers.stream("dev/pods"), servers.subject("dev/pods", 0)[:-1] + "*"
        done(connection, lambda js: js.add_stream(**({"name": name, "subjects": [subject]} | other)))
        with pytest.raises(NatsError, match=f"another {field}") as found:
            connection.wait(servers.make("dev/pods"), 20)
        assert name in str(found.value)
        assert "\n" not in str(found.value)


def test_another_stream_with_our_subjects_is_one_line_that_says_what_to_do(tmp_path: Path):
    with connected(tmp_path) as connection:
        done(connection, lambda js: js.add_stream(name="all", subjects=["dw.>"]))
        with pytest.raises(NatsError, match=r"overlap.*say another engine\.name"):
            connection.wait(Servers(connection).make("dev/pods"), 20)


def test_a_queue_of_another_number_of_shards_is_refused_in_one_line_that_says_what_to_do(tmp_path: Path):
    with connected(tmp_path) as connection:
        connection.wait(Servers(connection, 4).make("dev/pods"), 20)
        connection.wait(Servers(connection, 4).make("dev/nodes"), 20)
        with pytest.raises(
            NatsError, match=r"is of 4 shards, not 8 \(set store\.shards to 4, or another"
        ) as found:
            connection.wait(Servers(connection, 8).make("dev/pods"), 20)
        assert "\n" not in str(found.value)


def test_more_bytes_than_the_servers_may_keep_is_one_line_that_says_what_to_do(tmp_path: Path):
    with connected(tmp_path, max_bytes=5 * 1024**3) as connection:
        until(lambda: connection.is_connected, "the connection")
        with pytest.raises(NatsError, match="max_bytes is more than the servers may keep"):
            connection.wait(Servers(connection).make("dev/pods"), 20)


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("gone", ["stream", "leases", "everything"])
def test_what_somebody_deleted_is_made_again_and_nothing_is_lost(tmp_path: Path, gone: str):
    with NatsServers(tmp_path / "nats") as servers:
        engine = {"kind": "nats", "servers": servers.urls, "replicas": 1}
        with running(tmp_path, "--objects", "pods=40", "--churn", "20/s", engine=engine) as (
            server,
            pipeline,
        ):
            pipeline.wait_synced(60)
            delete(servers.urls[0], gone)
            before = pipeline.offsets()
            since = time.time_ns() // 1000
            wait_until(
                "a claim of a time after it",
                lambda: (pipeline.status().get("as_of") or 0) > since + LEASE_S * 1e6,
                seconds=90,
                every_s=0.2,
            )
            wait_until(
                "calls of both handlers", lambda: all(pipeline.calls_since(before).values()), seconds=60
            )
            server.churn(0)
            verdict = pipeline.judge_in_the_end(60)
            assert verdict["complaints"] == 0, verdict


def delete(url: str, gone: str) -> None:
    connection = Connection(NatsSettings(servers=(url,)), label="t")
    connection.start()
    try:
        streams = [info.config.name for info in done(connection, lambda js: js.streams_info())]
        wanted = {"stream": ["deltawire+dev+pods"], "leases": ["KV_deltawire_leases"], "everything": streams}[
            gone
        ]
        for name in wanted:
            done(connection, lambda js, n=name: js.delete_stream(n))
    finally:
        connection.close()


@pytest.mark.long
@pytest.mark.timeout(240)
def test_another_pipeline_of_the_same_name_is_refused_named_and_takes_nothing_of_the_first(tmp_path: Path):
    """Also when the first one's brokers are away for a while: their lead is not taken."""
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    with NatsServers(tmp_path / "nats") as servers:
        engine = {"kind": "nats", "servers": servers.urls, "replicas": 1}
        pods = ("--objects", "pods=20", "--churn", "10/s")
        with running(folders[0], *pods, engine=engine) as (server, first):
            first.wait_synced(60)
            with running(folders[1], *pods, engine=engine) as (_, second):
                _is_refused(second)
                first.kill_everything()
                time.sleep(2 * LEASE_S)
                assert second.calls_since({"latest": 0, "every": 0}) == {"latest": [], "every": []}
                first.up()
                first.wait_synced(90)
                _is_refused(second)
            server.churn(0)
            verdict = first.judge_in_the_end(60)
            assert verdict["complaints"] == 0, verdict


def _is_refused(pipeline: Pipeline) -> None:
    wait_until(
        "that it is said",
        lambda: "another pipeline has this engine.name" in json.dumps(pipeline.status()),
        seconds=60,
        every_s=0.2,
    )
    assert not pipeline.status()["synced"]
