"""What a watch brings in quick succession, read together: the first of it waits a moment for the rest.

Servers send each event on its own. One at a time it wakes four processes and is committed alone, which costs several
times what it costs in a batch (docs/adr/0016-what-comes-close-together-is-read-together.md).
"""

from deltawire.common.clock import Clock
from deltawire.common.errors import TransportError
from deltawire.common.limits import KIB
from deltawire.reflector.listwatch import ByteStream

# Parts that are passed on follow each other by this at least. An event that comes later than that after the last one
# does not wait.
GATHER_S = 0.001
# What is passed on together, beside the piece of at most 64 KiB that goes beyond it: below `BATCH_BYTES_MAX`.
GATHER_BYTES_MAX = 160 * KIB


class Gatherer:
    """One open watch. For its reader's thread only. ``gather_s``: as `GATHER_S`; 0: nothing waits."""

    def __init__(self, stream: ByteStream, clock: Clock, gather_s: float = GATHER_S) -> None:
        self._stream = stream
        self._clock = clock
        self._gather_s = gather_s
        self._passed_on_s = float("-inf")
        self._error: TransportError | None = None

    def read(self) -> bytes:
        """The next bytes as soon as there are any; b"" at the end. Raises TransportError."""
        if self._error is not None:
            raise self._error
        return self._stream.read()

    def with_more(self, chunk: bytes) -> bytes:
        """``chunk``, and what came since; waits for that where the last call is less than ``gather_s`` ago.

        What breaks the stream meanwhile is raised by the next `read`.
        """
        now_s = self._clock.now_s()
        left_s = self._passed_on_s + self._gather_s - now_s
        if left_s > 0:
            chunk = self._all_there(chunk)
            if len(chunk) < GATHER_BYTES_MAX:
                self._clock.sleep(left_s)
                chunk = self._all_there(chunk)
            now_s += left_s
        self._passed_on_s = now_s
        return chunk

    def _all_there(self, chunk: bytes) -> bytes:
        parts, size = [chunk], len(chunk)
        try:
            while size < GATHER_BYTES_MAX and self._stream.is_ready():
                part = self._stream.read()
                if not part:
                    break
                parts.append(part)
                size += len(part)
        except TransportError as error:
            self._error = error
        return b"".join(parts)
