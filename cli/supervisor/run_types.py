"""What a run of the supervisor is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deltawire.cli.supervisor.processes import Line
from deltawire.cli.supervisor.status_types import Snapshot

# Everything as it is when it is called, by any thread; None where that cannot be found out now.
SnapshotSource = Callable[[], Snapshot | None]


class View(Protocol):
    """Shows the pipeline's status. ``every_s``: the period of `show` in seconds; None: it shows none."""

    every_s: float | None

    def process_line(self, line: Line) -> None: ...

    def note(self, text: str) -> None: ...

    def show(self, snapshot: Snapshot) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Embedded:
    """The API server that we start: ready when ``kubeconfig`` exists; ``stop_churn`` ends its writes."""

    kubeconfig: Path
    stop_churn: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``failures``: a line for each thing that is wrong."""

    exit_code: int
    snapshot: Snapshot
    failures: list[str]
    is_checked: bool
