"""One structured line a second, for logs and pipes."""

import sys
from typing import TextIO

from deltawire.cli.supervisor.processes import Line
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.cli.view.text import count, known, milliseconds, readiness

EVERY_S = 1.0
# The state of a pipeline whose processes leave.
DRAINING = "draining"


def render(snapshot: Snapshot) -> str:
    """``12s running · ready as of 14:02:11 · synced 2/2 · 1.2k objects · 201 ev/s · printer 400/400 …``."""
    synced = sum(i.synced for i in snapshot.informers.values())
    parts = [
        f"{snapshot.up_s:.0f}s {snapshot.state}",
        readiness(snapshot),
        f"synced {synced}/{len(snapshot.informers)}",
        f"{count(snapshot.totals.objects)} objects",
        f"{snapshot.totals.events_per_s:.0f} ev/s",
        f"lag {milliseconds(snapshot.lag_p50_ms)}",
    ]
    parts += [
        f"{name} {g.acknowledged}/{g.delivered} pending {known(g.pending)} dead {known(g.dead)}"
        for name, g in snapshot.groups.items()
    ]
    parts.append(f"restarts {snapshot.totals.restarts}")
    if snapshot.state != DRAINING:
        # While processes leave one after another, the reason is that.
        parts += [f"not ready {line}" for line in snapshot.unready]
    parts += [f"error {line}" for line in snapshot.errors]
    return " · ".join(parts)


class LineView:
    """Writes status lines to ``out``, what processes print to ``printed`` and their logs to ``logged``."""

    every_s = EVERY_S

    def __init__(self, out: TextIO, *, printed: TextIO | None = None, logged: TextIO | None = None) -> None:
        self._out = out
        self._printed = printed or out
        self._logged = logged or sys.stderr

    def process_line(self, line: Line) -> None:
        if line.is_error:
            self._write(self._logged, line.text)
        else:
            self._write(self._printed, f"{line.name} | {line.text}")

    def note(self, text: str) -> None:
        self._write(self._out, text)

    def show(self, snapshot: Snapshot) -> None:
        self._write(self._out, render(snapshot))

    def close(self) -> None:
        """Nothing is held."""

    def _write(self, stream: TextIO, text: str) -> None:
        try:
            stream.write(text + "\n")
            stream.flush()
        except BrokenPipeError:
            # `| head` has seen enough; the pipeline goes on.
            pass


class QuietView(LineView):
    """Logs and notes, and no line a second."""

    def show(self, snapshot: Snapshot) -> None:
        """Nothing."""
