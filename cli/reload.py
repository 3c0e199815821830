"""``deltawire run --reload``: a changed plug-in file is a new process that takes over from the old one.

Python files beside the plug-ins count, too: a handler may import them. The new code is looked at first, so that a file
that cannot be loaded changes nothing.

Not here: how a replica takes over (`supervisor.changes`).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from deltawire.cli import apply as changes
from deltawire.cli.file_watch import FileWatch
from deltawire.cli.requests import Supervision
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.errors import DeltawireError

LOOK_S = 0.3
# Of the files that are looked at; a folder with more is no folder of handlers.
FILES_MAX = 2000

Stamps = dict[Path, tuple[int, int]]


class Reloader(FileWatch[Stamps]):
    """``make``: the config that the files make now."""

    def __init__(
        self, files: Sequence[Path], make: Callable[[], Config], note: Callable[[str], object]
    ) -> None:
        # A handler of an installed package has no file here.
        self._files = [file.resolve() for file in files if file.exists()]
        self._make = make
        self._note = note
        super().__init__("reload", LOOK_S, lambda: stamps(self._files), self._reload)

    def _reload(self, before: Stamps, now: Stamps) -> None:
        changed = changed_files(before, now)
        try:
            wanted = self._make()
            plan = Plan(wanted)
            running = changes.running_config(plan)
            restart = affected(wanted, set(self._files), changed)
            with Supervision(plan) as supervision:
                changes.apply(supervision, wanted, running, restart=restart, note=self._note)
        except DeltawireError as error:
            self._note(f"not reloaded, what ran before goes on: {error}")


def stamps(files: Iterable[Path]) -> Stamps:
    """(modified in ns, bytes) of the files and of the Python files beside them, at most `FILES_MAX`."""
    found: Stamps = {}
    for folder in dict.fromkeys(file.parent for file in files):
        for path in sorted(folder.glob("*.py"))[:FILES_MAX]:
            try:
                stat = path.stat()
            except OSError:
                continue
            found[path] = (stat.st_mtime_ns, stat.st_size)
    return found


def changed_files(before: Stamps, now: Stamps) -> set[Path]:
    return {path for path in {*before, *now} if before.get(path) != now.get(path)}


def affected(config: Config, plugins: set[Path], changed: set[Path]) -> list[str]:
    """The handlers that have other code now: of a changed plug-in, or all those beside a changed file that is none."""
    folders = {path.parent for path in changed if path not in plugins}
    return [
        handler.name
        for handler in config.handlers
        if handler.run and (Path(handler.run) in changed or Path(handler.run).parent in folders)
    ]
