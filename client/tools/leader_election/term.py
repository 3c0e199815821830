"""One term of leadership: who works in it can see when it is over, however slow the network is."""

import threading

from deltawire.common.clock import Clock


class Term:
    """``over`` is set when leadership is lost, given up, or not renewed by its deadline.

    A thread of its own watches the deadline: a renewal that hangs in a request cannot keep the leader's work
    going into the time of the next leader.
    """

    def __init__(self, deadline_s: float, clock: Clock) -> None:
        self.over = threading.Event()
        self._clock = clock
        self._deadline_s = deadline_s
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._watch, name="leader-deadline", daemon=True)
        self._thread.start()

    @property
    def deadline_s(self) -> float:
        """Monotonic."""
        with self._changed:
            return self._deadline_s

    @property
    def is_over(self) -> bool:
        """Also between the deadline and the moment when the watching thread notices."""
        return self.over.is_set() or self._clock.now_s() >= self.deadline_s

    def renewed(self, deadline_s: float) -> bool:
        """False if it was over before: what was renewed is not ours to use any more."""
        with self._changed:
            if self.over.is_set():
                return False
            self._deadline_s = deadline_s
            self._changed.notify_all()
            return True

    def end(self) -> None:
        """May be called again. The thread is gone afterwards."""
        with self._changed:
            self.over.set()
            self._changed.notify_all()
        self._thread.join()

    def _watch(self) -> None:
        with self._changed:
            while not self.over.is_set():
                if self._clock.now_s() >= self._deadline_s:
                    self.over.set()
                    return
                self._clock.wait_until(self._changed, self._deadline_s)
