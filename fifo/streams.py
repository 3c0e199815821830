"""One stream as the broker sees it: what it has accepted, its open list, its credit."""

from dataclasses import dataclass
from typing import Literal

from deltawire.common.errors import ProtocolError
from deltawire.common.limits import STREAM_BYTES_MAX, STREAM_DELTAS_MAX
from deltawire.common.meta.versions import highest, is_below
from deltawire.common.wire.messages.stream import Begin, End
from deltawire.fifo.limits import CREDIT_STEP_BYTES, CREDIT_STEP_DELTAS

State = Literal["waiting", "started", "stopped"]
# Twice the credit: what was under way when a start opened it anew may come on top.
_HELD_DELTAS_MAX, _HELD_BYTES_MAX = 2 * STREAM_DELTAS_MAX, 2 * STREAM_BYTES_MAX


@dataclass(slots=True)
class Stream:
    """``accepted``: complete up to there in the queues; "" = a list is needed; None = not known, because this
    broker has not started the stream yet.

    Messages are checked by `begin`, `deltas`, `mark`, `end`: True = take it, False = it is late (sent before
    the reflector got the last start or stop) and must be dropped. ProtocolError = the rules are broken.
    """

    informer: str
    name: str
    owner: bytes | None = None
    state: State = "waiting"
    stopped_for: str = ""
    accepted: str | None = None
    base: str = ""  # where this broker's life began for the stream, "" = with a list
    floor: str = ""
    generation: int = 0  # the highest that a list has had
    asked: int = 0  # the lowest that the last start allows
    listing: int = 0  # the open list's generation, 0 = none
    listed: int = 0  # items of the open list so far
    awaits_list: bool = False  # all before the next begin belongs to an earlier start
    was_stopped: bool = False  # in this session: its messages may still be under way
    held_deltas: int = 0
    held_bytes: int = 0
    owed_deltas: int = 0
    owed_bytes: int = 0

    @property
    def is_blocked(self) -> bool:
        """True if the reflector has no credit left."""
        return self.held_deltas + self.owed_deltas >= STREAM_DELTAS_MAX or (
            self.held_bytes + self.owed_bytes >= STREAM_BYTES_MAX
        )

    @property
    def is_followed(self) -> bool:
        """True if what its reflector sends is taken, and no list is open."""
        return self.state == "started" and not self.awaits_list and not self.listing

    def taken_by(self, owner: bytes | None) -> None:
        """The session that owns the stream changed, or ended. Accepted deltas stay; a cut list is void."""
        self.owner = owner
        self.state = "waiting"
        self.stopped_for = ""
        self.listing = 0
        self.awaits_list = self.was_stopped = False

    def stop(self, reason: str) -> None:
        self.was_stopped = self.was_stopped or self.state == "started"
        self.state = "stopped"
        self.stopped_for = reason
        self.listing = 0

    def must_list(self) -> None:
        """What was accepted is of no use: a shard lacks its past. The next start asks for a list.

        A list that was asked for and has not begun will do: all of it is still to come.
        """
        if self.state == "started" and self.awaits_list:
            return
        self.accepted = ""
        self.listing = 0
        self.was_stopped = self.was_stopped or self.state == "started"
        self.state = "waiting"

    def start(self, resume: str, floor: str, generation: int) -> tuple[str, str, int, int, int]:
        """Resume, floor, generation and opening credit of the start that is sent now.

        ``resume``, ``floor``, ``generation`` are what the shards say; they count only at the first start.
        """
        self.generation = max(self.generation, generation)
        self.floor = highest(floor, self.floor)
        if self.accepted is None:
            self.accepted = self.base = resume
        elif self.was_stopped:
            # Old messages of this session would be taken for new ones; a list's begin separates them.
            self.accepted = ""
        self.was_stopped = False
        self.awaits_list = self.accepted == ""
        self.asked = max(self.generation, self.asked) + 1
        self.state = "started"
        self.stopped_for = ""
        self.owed_deltas = self.owed_bytes = 0
        return (
            self.accepted,
            self.floor,
            self.asked,
            max(0, STREAM_DELTAS_MAX - self.held_deltas),
            max(0, STREAM_BYTES_MAX - self.held_bytes),
        )

    def begin(self, message: Begin) -> bool:
        if self.state != "started":
            return False
        if self.awaits_list and message.generation < self.asked:
            return False
        if message.generation <= self.generation:
            raise ProtocolError(f"begin of generation {message.generation} after {self.generation}")
        self.generation = self.listing = message.generation
        self.listed = 0
        self.accepted = ""
        self.awaits_list = False
        return True

    def deltas(self, count: int, items: int, size: int, version: str) -> bool:
        """So many deltas of so many bytes, of which ``items`` are a list's, complete up to ``version``."""
        if self.state != "started" or self.awaits_list:
            return False
        if self.held_deltas >= _HELD_DELTAS_MAX or self.held_bytes >= _HELD_BYTES_MAX:
            raise ProtocolError("deltas beyond the credit")
        if items and not self.listing:
            raise ProtocolError("an item of a list, but no list is open")
        if version and self.listing:
            raise ProtocolError("a version inside a list: only its end makes the stream complete")
        self.listed += items
        self.held_deltas += count
        self.held_bytes += size
        self._accept(version)
        return True

    def mark(self, version: str) -> bool:
        if self.state != "started" or self.awaits_list:
            return False
        if self.listing or not version:
            raise ProtocolError("a mark inside a list, or without a version")
        self._accept(version)
        return True

    def end(self, message: End) -> bool:
        if self.state != "started" or self.awaits_list:
            return False
        if message.generation != self.listing or not self.listing:
            raise ProtocolError(f"end of generation {message.generation}, open is {self.listing}")
        if message.items != self.listed:
            # A sweep after a list of which something is missing would delete live objects.
            raise ProtocolError(f"a list of {message.items} items of which {self.listed} came")
        self.listing = 0
        # A list below the floor means that the cluster went back: its versions are the ones that count. A server that
        # gives none leaves nothing to resume at: the next start lists again.
        self.accepted = self.floor = message.version
        return True

    def give_back(self, deltas: int, size: int) -> tuple[int, int] | None:
        """Takes note of acknowledged deltas; the credit to send now, None while it is too little."""
        self.held_deltas -= deltas
        self.held_bytes -= size
        if self.state != "started":
            return None
        self.owed_deltas += deltas
        self.owed_bytes += size
        if self.owed_deltas < CREDIT_STEP_DELTAS and self.owed_bytes < CREDIT_STEP_BYTES:
            return None
        owed = self.owed_deltas, self.owed_bytes
        self.owed_deltas = self.owed_bytes = 0
        return owed

    def _accept(self, version: str) -> None:
        if version and not is_below(version, self.accepted or ""):
            # They mostly rise together.
            self.floor = version if self.floor == self.accepted else highest(self.floor, version)
            self.accepted = version
