"""The private folder of sockets and the effective config: made, checked, cleared."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deltawire.common.store.folder import cluster_folder, last_cluster_id, make_private


@contextmanager
def owner_only() -> Iterator[int]:
    """For the length of the block what we make is ours alone, whatever the umask was; hands that one out."""
    before = os.umask(0o077)
    try:
        yield before
    finally:
        os.umask(before)


def prepare(folder: Path) -> None:
    """Make the folder, or check that only this user may enter it: another could replace the sockets.

    Raises StateError.
    """
    make_private(folder, "runtime folder", "set another runtime.dir")


def write(file: Path, data: bytes) -> None:
    """Write a file of the folder that only we may read. Whoever reads it finds all of it, or what was there before."""
    draft = file.with_name(f".{file.name}.new")
    draft.touch(mode=0o600)
    draft.write_bytes(data)
    draft.replace(file)


def forget_cluster(store_dir: Path, cluster: str) -> None:
    """Remove the caches of a cluster that does not come back: an embedded API server that kept no data."""
    cluster_id = last_cluster_id(store_dir, cluster)
    folder = cluster_folder(store_dir, cluster_id)
    if cluster_id and folder.parent == store_dir and folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
