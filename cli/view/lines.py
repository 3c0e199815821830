"""One structured line a second, for logs and pipes."""

import sys
from collections.abc import Collection, Sequence
from typing import TextIO

from deltawire.cli.supervisor.processes import Line
from deltawire.cli.supervisor.status_types import GroupStatus, Snapshot
from deltawire.cli.view.logs import readable
from deltawire.cli.view.text import count, known, milliseconds, readiness

EVERY_S = 1.0
# So many handlers have a part of the line each, and so many reasons and errors are on it: a line stays a line.
HANDLERS_MAX = 8
REASONS_MAX = 5
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
    if len(snapshot.groups) <= HANDLERS_MAX:
        parts += [f"{name} {_counts([group])}" for name, group in snapshot.groups.items()]
    else:
        parts.append(f"{len(snapshot.groups)} handlers {_counts(snapshot.groups.values())}")
    parts.append(f"restarts {snapshot.totals.restarts}")
    if snapshot.state != DRAINING:
        # While processes leave one after another, the reason is that.
        parts += _first("not ready", snapshot.unready)
    parts += _first("error", snapshot.errors)
    return " · ".join(parts)


def _counts(groups: Collection[GroupStatus]) -> str:
    """Of these together; unknown where one is."""
    acknowledged, delivered = sum(g.acknowledged for g in groups), sum(g.delivered for g in groups)
    pending, dead = _sum([g.pending for g in groups]), _sum([g.dead for g in groups])
    return f"{acknowledged}/{delivered} pending {known(pending)} dead {known(dead)}"


def _sum(numbers: Sequence[int | None]) -> int | None:
    found = [number for number in numbers if number is not None]
    return sum(found) if len(found) == len(numbers) else None


def _first(word: str, lines: Sequence[str]) -> list[str]:
    shown = [f"{word} {line}" for line in lines[:REASONS_MAX]]
    more = len(lines) - len(shown)
    return [*shown, f"{more} more of them: deltawire status"] if more else shown


class LineView:
    """Writes status lines to ``out``, what processes print to ``printed`` and their logs to ``logged``.

    On a terminal logs are written for a person, tracebacks as Python prints them; elsewhere as the JSON that they are.
    """

    every_s: float | None = EVERY_S

    def __init__(self, out: TextIO, *, printed: TextIO | None = None, logged: TextIO | None = None) -> None:
        self._out = out
        self._printed = printed or out
        self._logged = logged or sys.stderr
        # A terminal is read by a person, anything else by a program.
        self._is_for_people = self._logged.isatty()

    def process_line(self, line: Line) -> None:
        if line.is_error:
            lines = readable(line.name, line.text) if self._is_for_people else [line.text]
            self._write(self._logged, "\n".join(lines))
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

    every_s: float | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Nothing."""
