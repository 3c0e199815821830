"""Small files of the state folder, replaced as a whole."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Replace the file so that readers see the old content or the new, also after a crash. Raises OSError.

    Several processes may write the same file at one time; the last one wins. ``mode``: of the file, less the umask.
    """
    fresh = beside(path)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            fresh.replace(path)
        except OSError:
            # A full disk must not fill with attempts.
            fresh.unlink()
            raise


def beside(path: Path) -> Path:
    """A name for the new content until it takes the place of ``path``.

    Drawn at random: containers that share a folder have the same process ids.
    """
    return path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
