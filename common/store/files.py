"""Small files of the state folder, replaced as a whole."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file so that readers see the old content or the new, also after a crash. Raises OSError.

    Several processes may write the same file at one time; the last one wins.
    """
    fresh = beside(path)
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def beside(path: Path) -> Path:
    """A name for the new content until it takes the place of ``path``.

    Drawn at random: containers that share a folder have the same process ids.
    """
    return path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
