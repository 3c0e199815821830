"""When proofs are sent: each beat of all streams that watch; of one that begins to watch as soon as it has a proof.

Pure. Not here: what a stream can prove (proof.py).
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from deltawire.common.wire.messages.proofs import Proof, StreamProof

StreamName = tuple[str, str]
# A stream that began to watch and can prove nothing new yet is asked again after so long.
OWED_EVERY_S = 0.1


class Provable(Protocol):
    """A stream."""

    @property
    def is_watching(self) -> bool: ...

    def proof(self) -> Proof | None: ...


class Proving:
    """``changed`` is called when a stream begins to watch, or does so no more. Instants in s are monotonic, µs are
    since the epoch."""

    def __init__(
        self, streams: Mapping[StreamName, Provable], every_s: float, changed: Callable[[], object]
    ) -> None:
        self._streams = streams
        self._every_s = every_s
        self._changed = changed
        self._watching: set[StreamName] = set()
        # Streams that have not proven yet that they watch again, and since when.
        self._owed: dict[StreamName, int] = {}
        self._proved_at_s = float("-inf")
        self._tried_at_s = float("-inf")

    @property
    def due_s(self) -> float:
        """When `rows` is to be called."""
        due_s = self._proved_at_s + self._every_s
        return min(due_s, self._tried_at_s + OWED_EVERY_S) if self._owed else due_s

    def note(self, name: StreamName, wall_us: int) -> None:
        """Call it when the stream may have begun to watch, or ended to."""
        is_watching = self._streams[name].is_watching
        if is_watching is (name in self._watching):
            return
        # A stream that stops watching is reported at once; one that begins, when it can prove something new.
        if is_watching:
            self._watching.add(name)
            self._owed[name] = wall_us
        else:
            self._watching.discard(name)
            self._owed.pop(name, None)
        self._changed()

    def rows(self, now_s: float) -> list[StreamProof]:
        """The proofs to be sent now."""
        is_due = now_s - self._proved_at_s >= self._every_s
        self._tried_at_s = now_s
        if is_due:
            self._proved_at_s = now_s
        rows = []
        for name in self._watching if is_due else list(self._owed):
            proof = self._streams[name].proof()
            if proof is not None and (is_due or proof.as_of_us > self._owed[name]):
                rows.append(StreamProof(*name, proof))
                if proof.as_of_us > self._owed.get(name, 0):
                    self._owed.pop(name, None)
        return rows
