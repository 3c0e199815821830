"""A shard's archive on real NATS servers: the same rules as the one in memory that the models run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.informer.archive import keeper
from deltawire.informer.archive.nats import NatsArchives
from deltawire.informer.archive.port import ArchiveUnavailable, FencedError, ShardArchive
from deltawire.jetstream.connection import Connection
from deltawire.jetstream.settings import NatsSettings
from tests.support.moving import Seen, World
from tests.support.nats_servers import NatsServers
from tests.support.patience import wait_until

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("nats")]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServers]:
    with NatsServers(tmp_path_factory.mktemp("nats")) as servers:
        yield servers


@pytest.fixture
def archives(servers: NatsServers) -> Iterator[NatsArchives]:
    connection = Connection(NatsSettings(servers=tuple(servers.urls)), label="test")
    connection.start()
    wait_until(lambda: connection.is_connected, "a server")
    yield NatsArchives(connection, bytes_max=64 * 1024**2)
    connection.close()


def test_an_append_behind_another_entry_than_the_newest_is_refused(archives: NatsArchives) -> None:
    one, other = archives.of("c1", "pods", 0), archives.of("c1", "pods", 0)
    assert one.read() == []
    assert one.tail() is None
    first = one.append(b"a", 0)
    with pytest.raises(FencedError):
        other.append(b"b", 0)
    second = other.append(b"b", first)
    with pytest.raises(FencedError):
        one.append(b"c", first)
    assert one.read() == [(first, b"a"), (second, b"b")]
    assert one.tail() == (second, b"b")


def test_shards_do_not_fence_each_other(archives: NatsArchives) -> None:
    one, other = archives.of("c2", "pods", 0), archives.of("c2", "pods", 1)
    one.read()
    first = one.append(b"a", 0)
    other.append(b"b", 0)
    one.append(b"c", first)
    assert [data for _, data in one.read()] == [b"a", b"c"]


def test_a_long_log_is_read_whole_and_cut_where_it_is_out_of_date(archives: NatsArchives) -> None:
    one = archives.of("c3", "pods", 0)
    one.read()
    revision, revisions = 0, []
    for number in range(700):
        revision = one.append(b"%d" % number, revision)
        revisions.append(revision)
    assert [data for _, data in one.read()] == [b"%d" % number for number in range(700)]
    one.drop_before(revisions[650])
    wait_until(lambda: len(one.read()) == 50, "what is out of date to go")
    one.append(b"more", revision)


def test_a_shard_moves_by_way_of_the_servers(
    archives: NatsArchives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "COPY_BYTES_MIN", 2_000)
    world = World(tmp_path)
    views = [archives.of("c4", "pods", 0) for _ in range(9)]
    monkeypatch.setattr(world.log, "view", lambda: _next(views))
    for key in ("a/k0", "a/k1", "a/k2"):
        world.change(key, "put")
    shard = world.start(world.hosts[0])
    world.join(Seen("latest", "latest"))
    world.join(Seen("every", "every"))
    for _ in range(10):
        world.change("a/k0", "put")
        world.rest()
    assert shard.archive is not None
    assert shard.archive.copies > 1, "the log is bounded"
    world.change("a/k1", "put")
    world.change("a/k2", "again")
    world.at.kill()
    world.start(world.hosts[1])
    world.rest()
    for seen in world.groups.values():
        assert seen.live == world.state
    world.close()


def _next(views: list[ShardArchive]) -> ShardArchive:
    return views.pop()


def test_servers_that_are_away_are_an_archive_that_does_not_answer(tmp_path: Path) -> None:
    with NatsServers(tmp_path) as servers:
        connection = Connection(NatsSettings(servers=tuple(servers.urls)), label="test")
        connection.start()
        wait_until(lambda: connection.is_connected, "a server")
        one = NatsArchives(connection, bytes_max=1 << 20).of("c1", "pods", 0)
        one.read()
        first = one.append(b"a", 0)
        servers.kill(0)
        with pytest.raises(ArchiveUnavailable):
            one.append(b"b", first)
        servers.start(0)
        wait_until(lambda: _answers(one), "the servers")
        tail = one.tail()
        assert tail is not None
        one.append(b"c", tail[0])
        connection.close()


def _answers(archive: ShardArchive) -> bool:
    try:
        return archive.tail() is not None
    except ArchiveUnavailable:
        return False
