"""A folder of kubeconfigs that is looked at while `deltawire up` runs: its clusters come and go.

Not here: which files are clusters (`common.config.kubeconfigs`), what a change of the config does (`cli.apply`).
"""

import threading
from collections.abc import Callable
from pathlib import Path

from deltawire.cli import apply as changes
from deltawire.cli.requests import Supervision
from deltawire.common.config.kubeconfigs import Stamps, stamps
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.errors import ConfigError, DeltawireError

LOOK_S = 1.0


class ClusterWatch:
    """Looks in a thread of its own until it is closed. ``make``: the config that file and folder make now."""

    def __init__(self, folder: Path, make: Callable[[], Config], note: Callable[[str], object]) -> None:
        self._folder = folder
        self._make = make
        self._note = note
        self._known = self._look()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubeconfigs", daemon=True)

    def __enter__(self) -> "ClusterWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            now = self._look()
            if now == self._known:
                continue
            # A file is written in pieces, and several in a row.
            while not self._stop.wait(LOOK_S) and (later := self._look()) != now:
                now = later
            if self._stop.is_set():
                return
            self._known = now
            if now is not None:
                self._apply()

    def _look(self) -> Stamps | None:
        """None where the folder cannot be read: no reason to stop what runs."""
        try:
            return stamps(self._folder)
        except ConfigError:
            return None

    def _apply(self) -> None:
        try:
            wanted = self._make()
            plan = Plan(wanted)
            with Supervision(plan) as supervision:
                changes.apply(supervision, wanted, changes.running_config(plan), note=self._note)
        except DeltawireError as error:
            self._note(f"kubeconfigs: nothing is changed, what ran before goes on: {error}")
