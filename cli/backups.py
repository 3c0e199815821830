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
from deltawire.cli.stores import clusters_of, is_half_restored, shards_of
from deltawire.cli.view.text import plural
from deltawire.common.clock import SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import CapacityError, StateError
from deltawire.common.store import folder as state_folder
from deltawire.common.temporary import temporary_folder
from deltawire.informer.archive import backup
from deltawire.informer.archive.backup import Counts


def write(plan: Plan, out: IO[bytes]) -> Counts:
    """Raises StateError where there is no state folder, half of a restored one, or a cache that cannot be read."""
    shards = shards_of(plan.store_dir)
    if not shards:
        raise StateError(
            f"{plan.store_dir} is not a state folder of deltawire",
            hint="name it with --store, or run `deltawire up`",
        )
    if is_half_restored(plan.store_dir):
        raise StateError(
            f"{plan.store_dir} holds half of a backup: its restore goes on, or was cut",
            hint="wait for its end, or run `deltawire restore` again",
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

    A restore that fails leaves the folder as it was found: another file or config may be tried on it. One that is
    killed leaves a folder that only another restore takes, and empties first.
    """
    with ExitStack() as stack:
        stack.enter_context(runtime_folder.owner_only())
        is_new = not (plan.store_dir / state_folder.MARKER).exists()
        is_cut = state_folder.prepare(plan.store_dir, plan.shards, restores=True)
        for name in (LOCK, *(f"worker-{index}" for index in range(plan.config.runtime.workers))):
            stack.enter_context(state_folder.hold(plan.store_dir, name))
        # Only now: until the locks are held the folder may be somebody else's.
        if is_cut:
            _remove_caches(plan.store_dir, but=set())
        backup.check_empty(plan.store_dir)
        stack.enter_context(_undone_on_failure(plan, is_new=is_new or is_cut))
        return backup.restore(data, plan.store_dir, plan.shards, SystemClock())


@contextmanager
def _undone_on_failure(plan: Plan, *, is_new: bool) -> Iterator[None]:
    """Half a restore is no state to start from, and a new folder's number of shards may be what was wrong.

    What was there before is not touched. Locks are left: they say nothing.
    """
    before = set(plan.store_dir.rglob("*"))
    state_folder.mark(plan.store_dir, plan.shards, restoring=True)
    try:
        yield
    except BaseException:
        _remove_caches(plan.store_dir, but=before)
        if is_new:
            (plan.store_dir / state_folder.MARKER).unlink(missing_ok=True)
        else:
            state_folder.mark(plan.store_dir, plan.shards)
        raise
    state_folder.mark(plan.store_dir, plan.shards)


def _remove_caches(store_dir: Path, *, but: set[Path]) -> None:
    for path in sorted(set(store_dir.rglob("*")) - but):
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)


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
    except CapacityError as error:
        raise CapacityError(error.message, hint="make room, and restore it again") from None


def told(counts: Counts) -> str:
    """For people."""
    what = f"{plural(counts.shards, 'shard')} with what handlers know of {plural(counts.objects, 'object')}"
    return f"{what}, and {counts.parked} dead letters and retries,"
