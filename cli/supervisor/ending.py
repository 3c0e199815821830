"""What happens when the time of ``--for`` is up: churn stops, the cache is compared, the groups catch up."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from deltawire.cli.supervisor.comparison import Settling
from deltawire.cli.supervisor.status_model import StatusModel
from deltawire.common.errors import DeltawireError

# From the end of the churn to caches and handlers that have everything.
SETTLE_DEADLINE_S = 20.0
# How many differences are named; the rest is counted.
NAMED_MAX = 3


@dataclass(slots=True)
class Ending:
    """Pure but for what it is handed. Call `turn` until it returns True; then `failures` says what is wrong.

    ``stop_churn`` runs elsewhere (``submit``); None where the writes to the API server are not ours to stop.
    ``make_settling`` makes the comparison, given its deadline and whether the server stands still.
    """

    stop_churn: Callable[[], None] | None
    submit: Callable[[Callable[[], Any]], "Future[Any]"]
    make_settling: Callable[[float, bool], Settling]
    failures: list[str] = field(default_factory=list)
    _deadline_s: float | None = None
    _stopping: "Future[Any] | None" = None
    _settling: Settling | None = None
    _is_over: bool = False

    @property
    def has_begun(self) -> bool:
        return self._deadline_s is not None

    def interrupt(self) -> None:
        """It is not waited for any more. What was not looked at is named: it may be as it should, or not."""
        if self._deadline_s is None or self._is_over:
            return
        self._is_over = True
        if self._settling is None or self._settling.ended_at_s is None:
            self.failures.append("interrupted: the caches were not compared with the API server to the end")
        self.failures.append("interrupted: it is not known whether every handler has acknowledged everything")

    def turn(self, now_s: float, model: StatusModel) -> bool:
        """True when everything was looked at."""
        if self._deadline_s is None:
            self._deadline_s = now_s + SETTLE_DEADLINE_S
            if self.stop_churn is not None:
                self._stopping = self.submit(self.stop_churn)
        if self._stopping is not None:
            if not self._stopping.done():
                return False
            self._take_stopped(self._stopping)
        if self._settling is None:
            self._settling = self.make_settling(self._deadline_s, self.stop_churn is not None)
        if not self._settling.turn(now_s):
            return False
        is_late = now_s >= self._deadline_s
        # The cache is complete since then; a report that is older does not know of the last changes.
        since_s = self._settling.ended_at_s or now_s
        is_done = (
            model.have_all_reported_since(since_s) and model.are_queues_empty() and not model.not_synced()
        )
        if not is_done and not is_late:
            return False
        self._judge(model, self._settling)
        self._is_over = True
        return True

    def _take_stopped(self, stopping: "Future[Any]") -> None:
        self._stopping = None
        try:
            stopping.result()
        except DeltawireError as error:
            self.failures.append(f"the churn could not be stopped: {error}")

    def _judge(self, model: StatusModel, settling: Settling) -> None:
        if settling.problem:
            self.failures.append(f"the caches could not be compared with the API server: {settling.problem}")
        differences = settling.differences
        if differences:
            named = "; ".join(str(d) for d in differences[:NAMED_MAX])
            more = f"; and {len(differences) - NAMED_MAX} more" if len(differences) > NAMED_MAX else ""
            self.failures.append(f"{len(differences)} keys differ: {named}{more}")
        for name, pending, dead in model.unfinished():
            if pending is None or dead is None:
                self.failures.append(f"{name}: it is not known what is pending")
            if pending:
                self.failures.append(f"{name}: {pending} {'event is' if pending == 1 else 'events are'} still pending")
            if dead:
                self.failures.append(f"{name}: {dead} dead letters (see `deltawire dead-letters list`)")
        self.failures += model.not_synced()
