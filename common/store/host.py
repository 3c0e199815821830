"""The name of a state folder among the hosts of a pipeline."""

import fcntl
import secrets
from pathlib import Path

from deltawire.common.store.files import write_whole

_HOST = "host"


def host_of(store_dir: Path) -> str:
    """Drawn at random at its first use, once for all processes of the host, which may begin together."""
    path = store_dir / _HOST
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = path.read_text().strip() if path.exists() else ""
        if not known:
            known = secrets.token_hex(8)
            write_whole(path, known.encode(), mode=0o600)
        return known
