"""A candidate's decisions. Pure: records and instants in, the record to write out.

Whether a lease is over is reckoned with our own clock from the moment when we *saw* it change, never from the
instants in it: clocks may differ by hours, as long as they run equally fast.
"""

import math
from dataclasses import replace

from deltawire.client.tools.leader_election.record import LeaseRecord


class Candidate:
    """One identity's view of one lease. Instants: ``now_s`` monotonic, ``wall_s`` since 1970."""

    def __init__(self, identity: str, lease_duration_s: float) -> None:
        self.identity = identity
        self.seen = LeaseRecord()
        self.seen_at_s: float | None = None
        self._duration_s = math.ceil(lease_duration_s)  # a Lease counts whole seconds

    @property
    def holder(self) -> str:
        """The identity of the leader as last observed; "" for none."""
        return self.seen.holder

    @property
    def is_leader(self) -> bool:
        return self.seen.holder == self.identity

    def observe(self, record: LeaseRecord, now_s: float) -> bool:
        """The lease says ``record``. True if it names another holder than before."""
        is_new_holder = record.holder != self.seen.holder
        if record != self.seen or self.seen_at_s is None:
            self.seen, self.seen_at_s = record, now_s
        return is_new_holder

    def lost_sight(self) -> None:
        """It could not be read, so perhaps not be renewed either: how long it has been still is counted anew."""
        self.seen_at_s = None

    def may_renew_unseen(self, now_s: float) -> bool:
        """True while this candidate's own lease lasts: no other may have taken it, so no read is needed."""
        return self.is_leader and self._is_valid(now_s)

    def wanted(self, now_s: float, wall_s: float, *, is_over: bool = False) -> LeaseRecord | None:
        """What to write to take the lease or to keep it; None while another holds it.

        ``is_over``: its holder is known to have ended, so that it need not run out.
        """
        if self.is_leader:
            return replace(self.seen, lease_duration_s=self._duration_s, renewed_at_s=wall_s)
        if self.holder and self._is_valid(now_s) and not is_over:
            return None
        # A lease that was never written, or whose first holder let it go, changes hands all the same.
        return LeaseRecord(self.identity, self._duration_s, wall_s, wall_s, self.seen.transitions + 1)

    def check(self, now_s: float, allowed_s: float) -> str:
        """For a health check: "" if all is well, else what is wrong. ``allowed_s``: since the last renewal."""
        if not self.is_leader or self.seen_at_s is None:
            return ""
        late_s = now_s - self.seen_at_s - allowed_s
        return f"leading, but the lease was not renewed for {late_s:.0f} s too long" if late_s > 0 else ""

    def first(self, wall_s: float) -> LeaseRecord:
        """What to write where there is no lease at all."""
        return LeaseRecord(self.identity, self._duration_s, wall_s, wall_s, 0)

    def released(self, wall_s: float) -> LeaseRecord:
        """What to write so that another may take it at once."""
        return LeaseRecord("", 1, wall_s, wall_s, self.seen.transitions)

    def _is_valid(self, now_s: float) -> bool:
        return self.seen_at_s is not None and self.seen_at_s + self.seen.lease_duration_s > now_s
