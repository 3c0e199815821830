"""The name of a state folder among the hosts of a pipeline."""

import secrets
from pathlib import Path

from deltawire.common.store.files import write_whole

_HOST = "host"


def host_of(store_dir: Path) -> str:
    """Drawn at random at its first use."""
    path = store_dir / _HOST
    try:
        known = path.read_text().strip()
    except FileNotFoundError:
        known = ""
    if not known:
        known = secrets.token_hex(8)
        write_whole(path, known.encode(), mode=0o600)
    return known
