"""Which workers' places this host's broker consumes for: a lease each, where no archive has one.

A worker's place (``worker-0``) has its shards on one disk. Of two hosts whose workers have the same place each would
find what the other one has consumed missing, and ask for a list, again and again: so the second one waits. The lease is
the host's, by the name of its state folder, and stays with it while its broker runs.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from deltawire.common.clock import Clock
from deltawire.fifo.relay.servers import Servers
from deltawire.jetstream.leases import Lease

LOOK_S = 0.2


class Places:
    """All of it runs in the connection's thread. ``place_of``: of an informer's shard."""

    def __init__(
        self, servers: Servers, host: str, place_of: Callable[[str, int], int], clock: Clock
    ) -> None:
        self._servers = servers
        self._host = host
        self._place_of = place_of
        self._clock = clock
        self._leases: dict[int, Lease] = {}
        self._keeping: list[Future[None]] = []

    async def hold(self, informer: str, shard: int) -> None:
        """Returns once the shard's place is this host's."""
        place = self._place_of(informer, shard)
        if place not in self._leases:
            key = f"place-{place}"
            lease = Lease(
                self._servers.connection, key, self._host, self._clock, lambda is_held: None, inherits=True
            )
            self._leases[place] = lease
            self._keeping.append(self._servers.connection.submit(self._servers.guarded(lease.keep, key)))
        lease, name = self._leases[place], f"worker-{place}"
        while not lease.is_valid:
            if self._is_others(lease):
                self._servers.note(
                    name,
                    f"{name} runs on host {lease.seen}, too, and gets nothing here: each worker index runs on one host,"
                    " or set archive; another pipeline needs another engine.name",
                )
            await asyncio.sleep(LOOK_S)
        self._servers.problems.pop(name, None)

    async def give_back(self) -> None:
        """All of them: nothing here will be consumed."""
        keeping, self._keeping = self._keeping, []
        self._leases.clear()
        for kept in keeping:
            kept.cancel()

    def is_lost(self, informer: str, shard: int) -> bool:
        """True where another host has the shard's place by now; not while only the servers do not answer."""
        lease = self._leases.get(self._place_of(informer, shard))
        return lease is not None and not lease.is_valid and self._is_others(lease)

    def _is_others(self, lease: Lease) -> bool:
        return bool(lease.seen) and lease.seen != self._host
