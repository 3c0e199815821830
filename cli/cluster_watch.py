"""A folder of kubeconfigs that is looked at while `deltawire up` runs: its clusters come and go.

Not here: which files are clusters (`common.config.kubeconfigs`), what a change of the config does (`cli.apply`).
"""

from collections.abc import Callable
from pathlib import Path

from deltawire.cli import apply as changes
from deltawire.cli.file_watch import FileWatch
from deltawire.cli.requests import Supervision
from deltawire.common.config.kubeconfigs import Stamps, stamps
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.errors import ConfigError, DeltawireError

LOOK_S = 1.0


class ClusterWatch(FileWatch[Stamps | None]):
    """``make``: the config that file and folder make now."""

    def __init__(self, folder: Path, make: Callable[[], Config], note: Callable[[str], object]) -> None:
        self._make = make
        self._note = note
        super().__init__("kubeconfigs", LOOK_S, lambda: _look(folder), self._apply)

    def _apply(self, _: Stamps | None, now: Stamps | None) -> None:
        if now is None:
            return
        try:
            wanted = self._make()
            plan = Plan(wanted)
            with Supervision(plan) as supervision:
                changes.apply(supervision, wanted, changes.running_config(plan), note=self._note)
        except DeltawireError as error:
            self._note(f"kubeconfigs: nothing is changed, what ran before goes on: {error}")


def _look(folder: Path) -> Stamps | None:
    """None where the folder cannot be read: no reason to stop what runs."""
    try:
        return stamps(folder)
    except ConfigError:
        return None
