"""The screen on a terminal: processes, informers, groups, what went wrong, what to try."""

from collections import deque
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deltawire.cli.supervisor.processes import Line
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.cli.supervisor.words import last_words
from deltawire.cli.view.logs import readable
from deltawire.cli.view.text import count, known, milliseconds, readiness
from deltawire.cli.view.units import format_bytes

EVERY_S = 0.5
# Lines of plug-ins and notes that are shown above the tables; a terminal scrolls no faster than one can read.
PRINTED_PER_REFRESH_MAX = 12
NOTES_SHOWN = 6
_STATE_STYLES = {
    "ready": "green",
    "standby": "green",
    "starting": "yellow",
    "waiting": "yellow",
    "silent": "red",
    "gave up": "bold red",
}


class LiveView:
    """Draws over itself; what plug-ins print scrolls above."""

    every_s: float | None = EVERY_S

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._notes: deque[str] = deque(maxlen=NOTES_SHOWN)
        self._printed = 0
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._live.start()

    def process_line(self, line: Line) -> None:
        if line.is_error:
            words = last_words([line.text])
            if words:
                self._notes.append(f"{line.name}: {words}")
            shown = readable(line.name, line.text)
            # A traceback scrolls above like what is printed, and so does what a handler says.
            if len(shown) > 1 or (shown != [line.text] and not words):
                self._print("\n".join(shown))
            return
        self._print(f"{line.name} | {line.text}")

    def _print(self, text: str) -> None:
        self._printed += 1
        if self._printed <= PRINTED_PER_REFRESH_MAX:
            self._console.print(text, markup=False, highlight=False)

    def note(self, text: str) -> None:
        self._notes.append(text)

    def show(self, snapshot: Snapshot) -> None:
        hidden = self._printed - PRINTED_PER_REFRESH_MAX
        if hidden > 0:
            self._console.print(f"… and {hidden} more lines of handlers", style="dim")
        self._printed = 0
        self._live.update(render(snapshot, list(self._notes)), refresh=True)

    def close(self) -> None:
        self._live.stop()


def render(snapshot: Snapshot, notes: Sequence[str]) -> Group:
    """The whole screen."""
    totals = snapshot.totals
    head = Text.assemble(
        ("deltawire ", "bold"),
        f"{snapshot.up_s:.0f}s {snapshot.state} · {readiness(snapshot)} · {count(totals.objects)} objects · "
        f"{totals.events_per_s:.0f} events/s · lag p50 {milliseconds(snapshot.lag_p50_ms)} "
        f"p99 {milliseconds(snapshot.lag_p99_ms)} · restarts {totals.restarts}",
    )
    parts: list[Text | Table] = [head, _processes(snapshot), _informers(snapshot), _groups(snapshot)]
    parts += [Text(f"not ready: {line}", style="yellow") for line in snapshot.unready]
    parts += [Text(f"warning: {line}", style="yellow") for line in snapshot.warnings]
    parts += [Text(error, style="red") for error in snapshot.errors]
    parts += [Text(note, style="cyan") for note in notes]
    victim = next((name for name, p in snapshot.processes.items() if p.role == "reflector"), "")
    if victim and snapshot.state == "running":
        parts.append(
            Text(f"try in another terminal: deltawire kill {victim} · deltawire get pods -A", style="dim")
        )
    return Group(*parts)


def _yes(value: bool) -> Text:
    return Text("yes", style="green") if value else Text("no", style="yellow")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < 2 else "right", no_wrap=True)
    return table


def _processes(snapshot: Snapshot) -> Table:
    table = _table("PROCESS", "STATE", "PID", "RESTARTS", "MEMORY", "CPU")
    for name, p in snapshot.processes.items():
        table.add_row(
            name,
            Text(p.state, style=_STATE_STYLES.get(p.state, "")),
            str(p.pid or "-"),
            str(p.restarts),
            f"{p.rss_mb:.0f} MB",
            f"{p.cpu_s:.1f} s",
        )
    return table


def _informers(snapshot: Snapshot) -> Table:
    table = _table("INFORMER", "SYNCED", "FRESH", "OBJECTS", "SIZE", "EVENTS/S", "QUEUED", "LAG")
    for name, i in snapshot.informers.items():
        table.add_row(
            name,
            _yes(i.synced),
            _yes(i.fresh),
            count(i.objects),
            format_bytes(i.bytes),
            f"{i.events_per_s:.0f}",
            known(i.depth),
            milliseconds(i.lag_ms),
        )
    return table


def _groups(snapshot: Snapshot) -> Table:
    table = _table("HANDLER", "SYNCED", "DELIVERED", "ACKNOWLEDGED", "PENDING", "DEAD", "LAG P99")
    for name, g in snapshot.groups.items():
        table.add_row(
            name,
            Text("off", style="dim") if g.off else _yes(g.synced),
            count(g.delivered),
            count(g.acknowledged),
            known(g.pending),
            Text(known(g.dead), style="red" if g.dead else ""),
            milliseconds(g.lag_p99_ms),
        )
    return table
