"""A stream's proof: that it watches, up to when it has sent all that it read, and when the server last sent anything.

Pure. A proof is made when it is due; between, a stream costs nothing. It says "all that the API server had sent until
``as_of`` was sent to the broker before this". That is so up to the last moment at which the reader found that nothing
was left to read, as it waited for bytes or as it looked, and only as far as nothing that was read still waits here.
Instants in s are monotonic, µs are since the epoch.
"""

from dataclasses import dataclass

from deltawire.common.meta.versions import highest, is_below
from deltawire.common.wire.messages.proofs import Proof
from deltawire.reflector.connection import IDLE_INTERVALS, IDLE_S, IDLE_S_MIN

# A watch that ended in a proper way and is opened again goes on being watched for so long.
REOPEN_S = 2.0
# After an opening, or after this process stood still, the reader first has the time to find what is there.
SETTLE_S = 0.2
# A main loop that did not turn for so long stood still: what the socket holds may be as old.
STOOD_STILL_S = 0.5


@dataclass(slots=True)
class Reading:
    """The reader's side: ``drained_us``: when it last found that nothing was left to read, 0 = never;
    ``is_waiting``: it waits for bytes, and has done so for a moment; ``heard_us``: when bytes last came."""

    drained_us: int = 0
    is_waiting: bool = False
    heard_us: int = 0


class Settling:
    """A moment before which nothing new is claimed: the reader first has the time to find what is there."""

    __slots__ = ("before_s", "before_us")

    def __init__(self) -> None:
        self.before_s = float("-inf")
        self.before_us = 0

    def begin(self, now_s: float, wall_us: int) -> None:
        self.before_s = now_s + SETTLE_S
        self.before_us = wall_us + int(SETTLE_S * 1_000_000)


class Stillness:
    """Finds that the process stood still: one for all streams. Turn it with the main loop."""

    def __init__(self) -> None:
        self.settling = Settling()
        self._turned_s: float | None = None

    def turn(self, now_s: float, wall_us: int) -> None:
        if self._turned_s is not None and now_s - self._turned_s > STOOD_STILL_S:
            self.settling.begin(now_s, wall_us)
        self._turned_s = now_s


class StreamProver:
    """Follows one stream; call it for each request, opening and end, and turn it before a proof is taken.

    ``stillness`` is shared by the streams of a main loop, which turns it at least each STOOD_STILL_S.
    """

    def __init__(self, stillness: Stillness | None = None) -> None:
        self._stillness = stillness or Stillness()
        self._is_open = False
        self._ended_s = float("-inf")
        self._settling = Settling()
        self._drained_us = 0
        self._heard_us = 0
        self._seen = ""

    # -- what happened

    def asked(self, now_s: float, *, is_list: bool) -> None:
        """A request is sent in place of what was under way."""
        if self._is_open and not is_list:
            self._ended_s = now_s
        self._is_open = False

    def opened(self, now_s: float, wall_us: int) -> None:
        """The server accepted a watch."""
        self._is_open = True
        self._settling.begin(now_s, wall_us)
        self._heard_us = max(self._heard_us, wall_us)

    def ended(self, now_s: float) -> None:
        """The server ended the watch properly."""
        if self._is_open:
            self._ended_s = now_s
        self._is_open = False

    def lost(self) -> None:
        """The watch failed or was given up: nothing is known until the next one is open."""
        self._is_open = False
        self._ended_s = float("-inf")

    def read(self, version: str) -> None:
        """The stream stands at ``version``."""
        self._seen = highest(self._seen, version)

    def listed(self, version: str) -> None:
        """A whole list was read: its version counts, also where it is lower."""
        self._seen = version

    # -- what is claimed

    def turn(self, now_s: float, wall_us: int, reading: Reading) -> None:
        """Take what the reader knows. ``wall_us`` and ``reading`` are taken before ``now_s``: then a stop of the
        process between them is seen here, and one after them makes the claim older, not wrong."""
        self._stillness.turn(now_s, wall_us)
        self._heard_us = max(self._heard_us, reading.heard_us)
        own, common = self._settling, self._stillness.settling
        if not self._is_open or now_s < own.before_s or now_s < common.before_s:
            return
        if reading.is_waiting:
            self._drained_us = wall_us
        elif reading.drained_us > max(own.before_us, common.before_us):
            self._drained_us = reading.drained_us

    def is_watching(self, now_s: float) -> bool:
        """True while a watch is open, or is just being opened again."""
        return self._is_open or now_s - self._ended_s < REOPEN_S

    def due_s(self, now_s: float) -> float:
        """When `is_watching` changes by time alone; inf: it does not."""
        until_s = self._ended_s + REOPEN_S
        return until_s if not self._is_open and until_s > now_s else float("inf")

    def proof(self, version: str, bookmark_interval_s: float | None, held_us: int | None) -> Proof | None:
        """What can be claimed now; None where nothing can.

        ``held_us``: when the oldest part was read that is not sent yet, None where all is sent. ``version``: where
        the stream stands; below what was seen before (it resumed further back), nothing can be said yet.
        """
        if not self._drained_us or is_below(version, self._seen):
            return None
        as_of_us = self._drained_us if held_us is None else min(self._drained_us, held_us - 1)
        bound_s = (
            IDLE_S if bookmark_interval_s is None else max(IDLE_S_MIN, IDLE_INTERVALS * bookmark_interval_s)
        )
        return Proof(as_of_us, self._heard_us, int(bound_s * 1_000_000))
