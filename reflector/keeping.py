"""Whether a stream's watch can be kept at its version. Pure: ends of watches in, what follows out."""

from deltawire.common.errors import DeltawireError, TransportError
from deltawire.reflector.connection import Connection
from deltawire.reflector.relists import Relists
from deltawire.reflector.verdicts import EARLY_S, KEPT_OUT_MAX, UNREADABLE_MAX, Verdict, verdict_of


class Keeping:
    """Counts ends in a row, at one version and without an event or a bookmark. All times are monotonic seconds."""

    def __init__(self, relists: Relists) -> None:
        self.relists = relists
        self._kept_out = 0
        self._unreadable = 0

    @property
    def is_doubtful(self) -> bool:
        """True while the watch may miss what happens: the server did not let it stay at its version."""
        return self.relists.is_wanted or self._kept_out > 0

    def trust(self) -> None:
        """An event, a bookmark or a list came: the watch works."""
        self._kept_out = self._unreadable = 0
        self.relists.forget()

    def ended(
        self, now_s: float, connection: Connection, error: DeltawireError | None, *, in_stream: bool = False
    ) -> Verdict:
        """What the end of a watch means; ``error`` is None where the server ended it properly, ``in_stream`` that it
        came as an ERROR event."""
        self.relists.note_life(connection.lived_s(now_s))
        self.lives_on(now_s, connection)
        is_cut = error is None or (isinstance(error, TransportError) and error.reason == "reset")
        verdict = Verdict.RESUME if error is None else verdict_of(error, in_stream=in_stream)
        if is_cut and connection.is_open and not connection.events and connection.lived_s(now_s) < EARLY_S:
            verdict = Verdict.COUNT
        elif is_cut and (error is None or connection.events):
            verdict = Verdict.RESUME  # cut after it worked: as a normal close
        if verdict is Verdict.UNREADABLE:
            self._unreadable += 1
        elif verdict is Verdict.COUNT:
            self._kept_out += 1
        is_left = self._kept_out >= KEPT_OUT_MAX or self._unreadable >= UNREADABLE_MAX
        if verdict is Verdict.LIST or (is_left and verdict in (Verdict.COUNT, Verdict.UNREADABLE)):
            self.relists.want(certain=verdict is Verdict.LIST)
        return verdict

    def lives_on(self, now_s: float, connection: Connection) -> bool:
        """A watch that is open for so long is not kept out. True if it is not in doubt any more."""
        if connection.lived_s(now_s) >= EARLY_S:
            self._kept_out = 0
            self.relists.doubt_is_over()
        return not self.is_doubtful
