"""Workers' places over all hosts, as values."""

import msgspec

from deltawire.jetstream.hosts import words_for


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's place over all hosts. ``host``, ``node``: of who has its lease, "" if nobody does. ``heard``: that
    worker answers; ``lease_s``: since it was renewed, by the servers' clock; ``standbys``: hosts that wait for it, in
    words."""

    host: str = ""
    node: str = ""
    heard: bool = False
    lease_s: float | None = None
    standbys: list[str] = []

    @property
    def words(self) -> str:
        return words_for(self.host, self.node) if self.host else "nobody"
