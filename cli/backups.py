"""Backups of a state folder, from and to files and streams.

Not here: what is in one (``informer.archive.backup``).
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO

from deltawire.cli import runtime_folder
from deltawire.cli.session import LOCK
from deltawire.cli.stores import clusters_of, shards_of
from deltawire.cli.view.text import plural
from deltawire.common.clock import SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import StateError
from deltawire.common.store import folder as state_folder
from deltawire.common.temporary import temporary_folder
from deltawire.informer.archive import backup
from deltawire.informer.archive.backup import Counts


def write(plan: Plan, out: IO[bytes]) -> Counts:
    """Raises StateError where there is no state folder, or a cache cannot be read."""
    shards = shards_of(plan.store_dir)
    if not shards:
        raise StateError(
            f"{plan.store_dir} is not a state folder of deltawire",
            hint="name it with --store, or run `deltawire up`",
        )
    counts = backup.write(out, plan.store_dir, shards, clusters_of(plan.store_dir), SystemClock())
    out.flush()
    return counts


def write_file(plan: Plan, file: Path) -> Counts:
    """As `write`; the file is for its owner alone, and there only when it is whole. Devices and pipes are kept."""
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            with file.open("wb") as out:
                return write(plan, out)
        with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as made:  # noqa: SIM117
            with ExitStack() as undo:
                undo.callback(Path(made.name).unlink)
                counts = write(plan, made)
                os.fsync(made.fileno())
                Path(made.name).replace(file)
                undo.pop_all()
    except OSError as error:
        raise StateError(f"{file} cannot be written: {error.strerror}") from None
    return counts


def restore(plan: Plan, data: IO[bytes]) -> Counts:
    """``data`` can be sought. Raises StateError where the folder is in use or has caches, and for what is no backup.

    A restore that fails leaves the folder as it was found: another file or config may be tried on it.
    """
    with ExitStack() as stack:
        stack.enter_context(runtime_folder.owner_only())
        is_new = not (plan.store_dir / state_folder.MARKER).exists()
        state_folder.prepare(plan.store_dir, plan.shards)
        for name in (LOCK, *(f"worker-{index}" for index in range(plan.config.runtime.workers))):
            stack.enter_context(state_folder.hold(plan.store_dir, name))
        # Only now: until the locks are held the folder may be somebody else's.
        stack.enter_context(_undone_on_failure(plan.store_dir, is_new=is_new))
        return backup.restore(data, plan.store_dir, plan.shards, SystemClock())


@contextmanager
def _undone_on_failure(store_dir: Path, *, is_new: bool) -> Iterator[None]:
    """Half a restore is no state to start from, and a new folder's number of shards may be what was wrong.

    What had caches before is not touched. Locks are left: they say nothing.
    """
    before = set(store_dir.iterdir())
    try:
        yield
    except BaseException:
        for path in list(store_dir.iterdir()):
            if path.is_dir() and path not in before:
                shutil.rmtree(path)
        if is_new:
            (store_dir / state_folder.MARKER).unlink(missing_ok=True)
        raise


def restore_file(plan: Plan, file: Path) -> Counts:
    """As `restore`."""
    try:
        with file.open("rb") as data:
            return _written(plan, data)
    except OSError as error:
        raise StateError(f"{file} cannot be read: {error.strerror}") from None


def restore_stream(plan: Plan, data: IO[bytes]) -> Counts:
    """As `restore`, of what can be read once."""
    try:
        with TemporaryFile(dir=temporary_folder()) as whole:
            shutil.copyfileobj(data, whole)
            return _written(plan, whole)
    except OSError as error:
        raise StateError(f"the standard input cannot be taken: {error.strerror}") from None


def _written(plan: Plan, data: IO[bytes]) -> Counts:
    try:
        return restore(plan, data)
    except OSError as error:
        raise StateError(f"{plan.store_dir} cannot be written: {error.strerror}") from None


def told(counts: Counts) -> str:
    """For people."""
    what = f"{plural(counts.shards, 'shard')} with what handlers know of {plural(counts.objects, 'object')}"
    return f"{what}, and {counts.parked} dead letters and retries,"
