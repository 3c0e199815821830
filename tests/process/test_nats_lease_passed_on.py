"""A lease that its holder passes on: nobody but the heir can have it in between, and it is no heir's for ever."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from deltawire.common.clock import SystemClock
from deltawire.jetstream.connection import Connection
from deltawire.jetstream.hosts import holder_of
from deltawire.jetstream.leases import LEASE_S, Lease
from tests.support.nats_connections import connecting, until
from tests.support.nats_servers import NatsServers

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("nats")]


def keeping(connection: Connection, host: str, changes: list[bool]) -> Lease:
    lease = Lease(connection, "one", holder_of(host, "n"), SystemClock(), changes.append, inherits=True)
    connection.submit(lease.keep())
    return lease


def test_a_lease_is_passed_on_to_the_heir_and_to_nobody_else_who_waits(tmp_path: Path) -> None:
    with NatsServers(tmp_path) as servers, ExitStack() as stack:
        a, b, c = (stack.enter_context(connecting(*servers.urls)) for _ in range(3))
        giver = keeping(a, "a", [])
        until(lambda: giver.is_valid, "the lease")
        heir, other = keeping(b, "b", []), keeping(c, "c", others := [])
        until(lambda: heir.seen and other.seen, "those who wait")
        # The heir's machine may have another name by now.
        assert a.wait(giver.pass_on(holder_of("b", "former")), 10)
        assert not giver.is_valid
        until(lambda: heir.is_valid, "the heir's lease", seconds=5 * LEASE_S)
        until(lambda: giver.seen == other.seen == holder_of("b", "n"), "that all know it")
        assert others == []


def test_a_lease_that_its_heir_does_not_take_is_had_by_who_waits(tmp_path: Path) -> None:
    with NatsServers(tmp_path) as servers, connecting(*servers.urls) as connection:
        giver = keeping(connection, "a", changes := [])
        until(lambda: giver.is_valid, "the lease")
        assert connection.wait(giver.pass_on(holder_of("gone", "n")), 10)
        assert not connection.wait(giver.pass_on(holder_of("gone", "n")), 10), "it is not its own any more"
        until(lambda: giver.is_valid, "the lease again", seconds=5 * LEASE_S)
        assert changes == [True, False, True]
