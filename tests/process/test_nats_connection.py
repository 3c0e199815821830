"""The connection to NATS and its leases, against servers that are killed."""

import threading
from pathlib import Path

import pytest

from deltawire.common.clock import SystemClock
from deltawire.fifo.relay.leads import NatsLead, NatsLeads
from deltawire.fifo.relay.message import Published
from deltawire.fifo.relay.outbox import Outbox
from deltawire.fifo.relay.publisher import Publisher, _Reign
from deltawire.fifo.relay.servers import Servers
from deltawire.fifo.relay.wants import Publish
from deltawire.jetstream.connection import Connection, NatsError
from deltawire.jetstream.leases import LEASE_S, Lease
from deltawire.jetstream.settings import NatsSettings
from tests.support.nats_connections import until
from tests.support.nats_servers import NatsServers

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("nats")]


def holder(servers: NatsServers, name: str, changes: list[bool]) -> tuple[Connection, Lease]:
    connection = Connection(NatsSettings(servers=tuple(servers.urls)), label=name)
    lease = Lease(connection, "one", name, SystemClock(), changes.append)
    connection.start()
    connection.submit(lease.keep())
    return connection, lease


def test_one_holds_a_lease_and_another_takes_it_when_the_first_is_gone(tmp_path: Path):
    with NatsServers(tmp_path) as servers:
        first, held = holder(servers, "a", one := [])
        until(lambda: held.is_valid, "the lease")
        second, waits = holder(servers, "b", two := [])
        until(lambda: waits.seen == "a", "who holds it")
        assert not waits.is_valid
        # It stands still: the lease runs out by itself.
        woken = threading.Event()
        first._loop.call_soon_threadsafe(woken.wait)
        until(lambda: waits.is_valid, "the second's lease", seconds=5 * LEASE_S)
        assert not held.is_valid
        woken.set()
        until(lambda: one[-2:] == [True, False], "that it is told")
        assert two[:1] == [True]
        first.close()
        second.close()


def test_a_lease_that_is_given_back_is_taken_at_once(tmp_path: Path):
    with NatsServers(tmp_path) as servers:
        first, held = holder(servers, "a", [])
        until(lambda: held.is_valid, "the lease")
        first.close()
        second, waits = holder(servers, "b", [])
        until(lambda: waits.is_valid, "the second's lease", seconds=LEASE_S / 2)
        second.close()


def test_a_lease_outlives_the_server_where_it_comes_back_in_time(tmp_path: Path):
    with NatsServers(tmp_path) as servers:
        connection, held = holder(servers, "a", changes := [])
        until(lambda: held.is_valid, "the lease")
        servers.kill(0)
        until(lambda: not connection.is_connected, "the loss")
        until(lambda: changes[-2:] == [True, False], "the end of the lease by the holder's own clock")
        servers.start(0)
        until(lambda: held.is_valid, "the lease again")
        assert connection.reconnects >= 1
        connection.close()


def test_more_replicas_than_servers_is_one_line_that_says_what_to_do(tmp_path: Path):
    with NatsServers(tmp_path) as servers:
        connection = Connection(NatsSettings(servers=tuple(servers.urls), replicas=3), label="t")
        connection.start()
        with pytest.raises(NatsError, match="replicas: 3 needs as many servers") as found:
            connection.wait(connection.bucket("leases", ttl_s=LEASE_S), 20)
        assert "\n" not in str(found.value)
        connection.close()


def test_what_a_former_leader_publishes_is_refused_by_the_servers(tmp_path: Path):
    with NatsServers(tmp_path) as nats:
        connection = Connection(NatsSettings(servers=tuple(nats.urls)), label="t")
        connection.start()
        servers = Servers(connection)
        connection.wait(servers.guarded(lambda: servers.make("dev/pods"), "t"), 20)
        former, present = Outbox(), Outbox()
        former.lead("r1", None, 0)
        send(servers, former)
        present.lead("r2", *newest(servers))
        send(servers, present)
        former.mark("*", "1")
        former.identify("c1", "")
        with pytest.raises(Fenced):
            send(servers, former)
        tail, sequence = newest(servers)
        assert (tail.boot, sequence) == (present.boot, 2)
        connection.close()


class Fenced(Exception):
    """Another message was published first."""


def newest(servers: Servers) -> tuple[Published, int]:
    tail = servers.connection.wait(servers.tail("dev/pods", 0), 20)
    assert tail is not None
    return tail


def send(servers: Servers, outbox: Outbox) -> None:
    """Publish what waits, as a broker that holds its lease does."""
    publisher = Publisher(servers, ["dev/pods"], 1, NatsLeads(servers, "t", SystemClock()), SystemClock())
    payload, follows = outbox.take() or (b"", 0)
    lease = NatsLead(servers.connection, "x", "t", SystemClock(), lambda _: None)
    publisher._reigns["dev/pods"] = _Reign(lease, id="r")
    servers.answers.clear()
    publisher.publish(Publish("dev/pods", 0, "r", outbox.flight_id, payload, follows))
    until(lambda: servers.answers, "an answer")
    broker = Recorded()
    servers.answers.popleft()(broker)  # type: ignore[arg-type]
    if broker.sequence is None:
        raise Fenced
    outbox.confirmed(broker.sequence)


class Recorded:
    """Notes what a broker is told."""

    sequence: int | None = None

    def published(self, name: str, shard: int, reign: str, sequence: int) -> None:
        self.sequence = sequence

    def steps_down(self, name: str, reason: str) -> None:
        assert "another one has published" in reason
