"""A place whose archive is new is left to the host that had it last, whose disk has what groups know.

All NATS servers may lose their disks at once. Then leases and archives begin anew, and whoever is first has the lease,
also a host that has nothing of the place's shards. Each host remembers who worked on them last.
"""

import asyncio
import logging
from pathlib import Path

from deltawire.common.store.files import write_whole
from deltawire.jetstream.connection import Connection, words_of
from deltawire.jetstream.hosts import has_begun, host_and_node, words_for
from deltawire.jetstream.moves import Here, who_is_there

log = logging.getLogger(__name__)

# The host that had the place last is waited for so long: a machine that starts anew takes minutes. After it the place
# is begun with anew, since that host's disk may be lost, too.
FORMER_WAIT_S = 600.0
# How often it is asked for.
ASK_EVERY_S = 2.0


class LastOwner:
    """Which host worked on a place last, as this host saw it: in the state folder, since the servers may lose it.

    ``holder``: as a lease says it; "" if nobody was ever seen.
    """

    def __init__(self, store_dir: Path, place: str) -> None:
        self._path = store_dir / f"{place}.owner"
        try:
            self.holder = self._path.read_text(errors="replace").strip()
        except OSError:
            self.holder = ""

    def saw(self, holder: str) -> None:
        """Only one that has begun counts. A disk that is full keeps the one before; this process knows the new one."""
        if not holder or holder == self.holder or not has_begun(holder):
            return
        self.holder = holder
        try:
            write_whole(self._path, holder.encode(), mode=0o600)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error.strerror)


class Wait:
    """How long a place is kept for the host that had it last (pure). Times are monotonic seconds."""

    def __init__(self, wait_s: float = FORMER_WAIT_S) -> None:
        self._wait_s = wait_s
        self._since_s: float | None = None

    def begin(self, now_s: float) -> None:
        """One that is going on is not begun anew: a lease that is lost meanwhile makes it no longer."""
        if self._since_s is None:
            self._since_s = now_s

    def end(self) -> None:
        self._since_s = None

    def left_s(self, now_s: float) -> float:
        """0 where it is over."""
        return self._wait_s if self._since_s is None else max(0.0, self._since_s + self._wait_s - now_s)


class Former:
    """Looks out for the worker of ``place`` on the host that had it last, while this host has the lease.

    ``words``: that host, in words. ``is_here``: its worker answers, and waits for the place.
    """

    def __init__(self, connection: Connection, place: str, holder: str) -> None:
        self.host, self.node = host_and_node(holder)
        self.words = words_for(self.host, self.node)
        self.is_here = False
        self._connection = connection
        self._place = place

    async def look(self) -> None:
        """Until it is cancelled, or that worker is there. In the connection's thread."""
        import nats.errors

        while True:
            try:
                self.is_here = any(map(self._is_it, await who_is_there(self._connection)))
            except (nats.errors.Error, TimeoutError) as error:
                log.debug("host %s cannot be asked for: %s", self.words, words_of(error))
            if self.is_here:
                return
            await asyncio.sleep(ASK_EVERY_S)

    def _is_it(self, here: Here) -> bool:
        return here.place == self._place and here.host == self.host


