"""Finding out whether a cache's file is whole, without the risk of the reader's own death.

LMDB maps the file: where a page is not there any more the kernel sends SIGBUS, and a garbled one may lead anywhere. So
what is doubtful is read by a process of its own: ``python -m deltawire.informer.store.damage FOLDER``.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import lmdb

from deltawire.common.store import layout
from deltawire.common.store.layout import unpack_row

DATA = "data.mdb"
# 100,000 pods take a second.
_READ_S_MAX = 300.0


def is_cut(folder: Path, env: Any) -> bool:
    """True if the file is too short for what is stored in it. Only a file that looks short is read."""
    pages = int(env.info()["last_pgno"]) + 1
    if (folder / DATA).stat().st_size >= pages * int(env.stat()["psize"]):
        return False
    # Pages at the end that were freed before they were written are no damage.
    return not can_be_read(folder)


def can_be_read(folder: Path) -> bool:
    """Read all that is stored, in another process. False if that fails, or kills it."""
    command = [sys.executable, "-m", "deltawire.informer.store.damage", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_READ_S_MAX, check=False)
    except subprocess.TimeoutExpired:
        # Large rather than damaged.
        return True
    return done.returncode == 0


def read_all(folder: Path) -> int:
    """Read each row. How many there are. Raises lmdb.Error, or dies, where a page is no page."""
    env = lmdb.open(str(folder), readonly=True, lock=False, create=False, max_dbs=layout.DBS_MAX)
    rows = 0
    with env.begin() as txn:
        names = [bytes(name) for name, _ in txn.cursor()]
    for name in names:
        is_index = name.startswith(layout.INDEX_PREFIX.encode())
        db = env.open_db(name, dupsort=is_index, create=False)
        with env.begin() as txn:
            for _, data in txn.cursor(db=db):
                rows += 1
                if name in (layout.OBJECTS, layout.GONE):
                    unpack_row(data)
    return rows


if __name__ == "__main__":
    read_all(Path(sys.argv[1]))
