"""Workers' places over all hosts, as values."""

import msgspec

from deltawire.jetstream.hosts import words_for


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's place over all hosts. ``host``, ``node``: of who has its lease, "" if nobody does. ``heard``: that
    worker answers; ``lease_s``: since it was renewed, by the servers' clock; ``standbys``: hosts that wait for it, in
    words. ``waits_for``: the host, in words, that ``host`` waits for: it had the place last, and the archive is new."""

    host: str = ""
    node: str = ""
    heard: bool = False
    lease_s: float | None = None
    standbys: list[str] = []
    waits_for: str = ""

    @property
    def words(self) -> str:
        words = words_for(self.host, self.node) if self.host else "nobody"
        return f"{words}, waits for {self.waits_for}" if self.waits_for else words
