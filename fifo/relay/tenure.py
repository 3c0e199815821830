"""What a broker knows of its lead of an informer by a Lease. Pure: instants in, monotonic seconds.

A Lease says who may *begin*. Who has begun goes on until another one is seen to hold it: while the API server does not
answer, or refuses, nobody else can be told from nobody. Two that publish are kept apart by the queue's sequences.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Times:
    """All follow from how long a Lease lasts, in seconds."""

    lease_s: float

    @property
    def renew_s(self) -> float:
        """Between two renewals."""
        return self.lease_s / 3

    @property
    def look_s(self) -> float:
        """Between two looks of one that waits, and after a failure."""
        return self.lease_s / 6

    @property
    def valid_s(self) -> float:
        """After the request that renewed it: others count from later, and may be slower by their clocks."""
        return self.lease_s * 2 / 3

    @property
    def request_s(self) -> float:
        """An attempt that takes longer has failed."""
        return self.lease_s / 4

    @property
    def unfit_s(self) -> float:
        """A holder that could publish nothing for so long gives it back."""
        return self.lease_s / 3


class Tenure:
    def __init__(self, times: Times) -> None:
        self.times = times
        # True from when it was taken until another one is seen to hold it, or it is given back.
        self.is_held = False
        self._valid_until_s = float("-inf")
        self._unfit_since_s: float | None = None

    def is_valid(self, now_s: float) -> bool:
        """True while nobody else can have it: then a reign may begin."""
        return self.is_held and now_s < self._valid_until_s

    def renewed(self, asked_s: float) -> None:
        """Taken or renewed, by a request that was sent then."""
        self.is_held = True
        self._valid_until_s = asked_s + self.times.valid_s
        self._unfit_since_s = None

    def ended(self) -> None:
        """Another one has it, or it is given back."""
        self.is_held = False
        self._valid_until_s = float("-inf")
        self._unfit_since_s = None

    def fit(self) -> None:
        """Something can be published from here, whatever the API server says."""
        self._unfit_since_s = None

    def unfit(self, now_s: float) -> bool:
        """Nothing can be published from here now, so nothing was renewed. True if it is to be given back."""
        if self._unfit_since_s is None:
            self._unfit_since_s = now_s
        return self.is_held and now_s - self._unfit_since_s >= self.times.unfit_s

    def wait_s(self, is_well: bool) -> float:
        """Until the next attempt. ``is_well``: the last one was answered."""
        return self.times.renew_s if self.is_held and is_well else self.times.look_s
