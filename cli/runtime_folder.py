"""The private folder of sockets and the effective config: made, checked, cleared."""

import os
import shutil
import stat
from pathlib import Path

from deltawire.common.errors import StateError
from deltawire.common.store.folder import last_cluster_id


def prepare(folder: Path) -> None:
    """Make the folder, or check that it is ours alone. Raises StateError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise StateError(
            f"the runtime folder {folder} cannot be used: {error.strerror}",
            hint="set another runtime.dir",
        ) from None
    if found.st_uid != os.getuid():
        raise StateError(
            f"the runtime folder {folder} belongs to user {found.st_uid}, not to you ({os.getuid()})",
            hint="set another runtime.dir",
        )
    # Whoever may write here could take the sockets' places.
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


def write(file: Path, data: bytes) -> None:
    """Write a file of the folder that only we may read."""
    file.touch(mode=0o600)
    file.write_bytes(data)


def forget_cluster(store_dir: Path, cluster: str) -> None:
    """Remove the caches of a cluster that does not come back: an embedded API server that kept no data."""
    cluster_id = last_cluster_id(store_dir, cluster)
    folder = store_dir / cluster_id
    if cluster_id and folder.parent == store_dir and folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
