"""Messages that the servers take no longer, or not yet: said with size and bound, kept, and sent when there is room."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.fifo.relay.servers import PAYLOAD_BYTES_NEEDED, Servers
from deltawire.informer.archive.nats import NatsArchives
from deltawire.informer.archive.port import ArchiveUnavailable
from deltawire.jetstream import client as module
from deltawire.jetstream.client import TooLargeError
from deltawire.jetstream.connection import Connection, NatsError
from tests.support.nats_connections import connecting, until
from tests.support.nats_servers import NatsServers

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("nats")]
MIB = 1024**2


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEARN_EVERY_S", 0.2)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[NatsServers]:
    """One that takes messages of 1 MiB, as servers do where nothing is configured."""
    with NatsServers(tmp_path / "nats", payload_bytes_max=MIB) as servers:
        yield servers


def raise_bound(servers: NatsServers) -> None:
    base = servers.folder / "nats-0" / "nats.base"
    base.write_text(base.read_text().replace(f"max_payload: {MIB}", f"max_payload: {16 * MIB}"))
    servers.configure(0, more="")


def test_a_message_that_is_too_large_is_said_with_size_and_bound_and_goes_when_there_is_room(
    servers: NatsServers,
):
    with connecting(*servers.urls) as connection:
        until(lambda: connection.is_connected, "the connection")

        async def send() -> None:
            await connection.client.publish("x", bytes(2 * MIB))

        with pytest.raises(TooLargeError) as found:
            connection.wait(send(), 20)
        assert str(found.value) == (
            f"{servers.urls[0]} takes messages of {MIB} bytes, and this one has {2 * MIB}: "
            "set max_payload: 16MB in the servers' config"
        )
        raise_bound(servers)
        until(lambda: _goes(connection, send), "that it is taken")


def _goes(connection: Connection, send: object) -> bool:
    try:
        connection.wait(send(), 20)  # type: ignore[operator]
    except Exception:
        return False
    return True


def test_an_entry_that_the_archives_servers_do_not_take_is_refused_in_one_line_with_what_to_do(
    servers: NatsServers,
):
    with connecting(*servers.urls) as connection:
        until(lambda: connection.is_connected, "the connection")
        archive = NatsArchives(connection, bytes_max=64 * MIB).of("c", "pods", 0)
        assert archive.read() == []
        with pytest.raises(
            ArchiveUnavailable, match=r"the archive refuses: .*set max_payload: 16MB"
        ) as found:
            archive.append(bytes(2 * MIB), 0)
        assert "\n" not in str(found.value)
        raise_bound(servers)

        def is_kept() -> bool:
            try:
                return archive.append(bytes(2 * MIB), 0) > 0
            except ArchiveUnavailable:
                return False

        until(is_kept, "that it is kept")


def test_servers_that_take_no_large_objects_are_named_and_a_raised_bound_needs_no_restart(
    servers: NatsServers,
):
    with connecting(*servers.urls) as connection:
        until(lambda: connection.is_connected, "the connection")
        queue = Servers(connection)
        with pytest.raises(NatsError, match=f"takes messages of {MIB} bytes.*set max_payload: 16MB"):
            connection.wait(queue.check_payload(), 20)
        raise_bound(servers)

        def fits() -> bool:
            try:
                connection.wait(queue.check_payload(), 20)
            except NatsError:
                return False
            return True

        until(fits, "the bound")
        assert connection.payload_bytes_max >= PAYLOAD_BYTES_NEEDED
        queue.waker.close()
