"""How the Lease of an informer is named, and what a broker calls itself in it."""

import hashlib
from pathlib import Path

# Of an object's name.
NAME_CHARS_MAX = 253
_DIGEST_CHARS = 16


def lease_name(pipeline: str, informer: str) -> str:
    """``deltawire.dev.deployments.apps`` for ``dev/deployments.apps`` of ``deltawire``; each informer has its own.

    Neither a pipeline's name nor a cluster's has a dot. A name that would be too long ends with a digest.
    """
    name = f"{pipeline}.{informer.replace('/', '.', 1)}"
    if len(name) <= NAME_CHARS_MAX:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{name[: NAME_CHARS_MAX - _DIGEST_CHARS - 1].rstrip('.-')}-{digest}"


def host_name(node: str, runtime_dir: Path) -> str:
    """The same for each broker that is started in this place, of which one runs at a time: it has the sockets."""
    return f"{node}-{hashlib.sha256(str(runtime_dir).encode()).hexdigest()[:8]}"


def holder_name(host: str, nonce: str) -> str:
    """One broker of that host."""
    return f"{host}_{nonce}"


def is_of(host: str, holder: str) -> bool:
    """True for brokers of that host."""
    return holder.rpartition("_")[0] == host
