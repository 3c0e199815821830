"""How far a shard is in its streams and in the broker's numbers (pure).

Not here: what deltas do to it (``apply``).
"""

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.store.meta import StreamState


class Progress(msgspec.Struct):
    """How far a shard is. A batch works on a `draft`, which replaces the original after the commit."""

    streams: dict[str, StreamState]
    boot: str = ""
    number: int = 0
    seq: int = 0
    touched: set[str] = set()

    def draft(self) -> "Progress":
        return Progress(dict(self.streams), self.boot, self.number, self.seq, set())

    def change(self, name: str) -> StreamState:
        """The stream's state for writing: a copy, so that an aborted batch leaves the original as it was."""
        stream = self.streams.get(name)
        if stream is None:
            stream = StreamState()
        elif name in self.touched:
            return stream
        else:
            stream = msgspec.structs.replace(stream)
        self.streams[name] = stream
        self.touched.add(name)
        return stream

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def advance(self, boot: str, first: int, last: int) -> bool:
        """Take note that deltas ``first``…``last`` are being applied; False if all of them were before.

        Raises ProtocolError where some are missing between the last one applied and these.
        """
        if boot != self.boot:
            self.boot, self.number = boot, last
            return True
        if last <= self.number:
            return False
        if first > self.number + 1:
            raise ProtocolError(f"deltas {self.number + 1} to {first - 1} of this shard never arrived")
        self.number = last
        return True
