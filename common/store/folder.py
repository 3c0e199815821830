"""The state folder: ``<dir>/<cluster id>/<resource>/<generation>/shard-<i>``, and whose it is.

``deltawire.json`` says that the folder is ours, in which schema and with how many shards. ``clusters.json``
keeps the last id of each cluster's name, so that caches can be read while the API server is away.
A shard whose environment has to be thrown away gets a new generation, so that readers of the old files see
that they are old.
"""

import fcntl
import logging
import os
import re
from hashlib import sha256
from pathlib import Path
from typing import IO

import msgspec

from deltawire.common.errors import StateError
from deltawire.common.store.files import write_whole

log = logging.getLogger(__name__)

MARKER = "deltawire.json"
# Of the folder; an environment in it has one of its own (layout.SCHEMA).
SCHEMA = 1
CLUSTERS = "clusters.json"
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_GENERATION = re.compile(r"[0-9]{8}")

_NAME_ANOTHER = "name a folder that you may make, or one of your own, in store.dir"


class Marker(msgspec.Struct):
    """The content of deltawire.json. ``restoring``: a backup is being restored, or was, by who died in it."""

    schema: int
    shards: int
    restoring: bool = False


def mark(store_dir: Path, shards: int, *, restoring: bool = False) -> None:
    """Write what the folder is. Raises OSError."""
    write_whole(store_dir / MARKER, msgspec.json.encode(Marker(SCHEMA, shards, restoring)))


def prepare(store_dir: Path, shards: int, *, restores: bool = False) -> bool:
    """Make the folder ours alone, or check that it is, with this many shards. Raises StateError.

    True if a restore was cut in it, which only another one may take over (``restores``).
    """
    make_private(store_dir, "state folder", _NAME_ANOTHER)
    try:
        marker = store_dir / MARKER
        # Workers without a supervisor may start on a new folder at the same moment.
        with (store_dir / "prepare.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not marker.exists():
                strangers = [p.name for p in store_dir.iterdir() if not p.name.endswith((".lock", ".new"))]
                if strangers:
                    raise StateError(
                        f"{store_dir} is not a state folder of deltawire: it holds {sorted(strangers)[0]!r}",
                        hint="name an empty or a new folder in store.dir",
                    )
                mark(store_dir, shards)
        found = msgspec.json.decode(marker.read_bytes(), type=Marker)
    except OSError as error:
        raise StateError(
            f"the state folder {store_dir} cannot be used: {error.strerror}", hint=_NAME_ANOTHER
        ) from None
    except msgspec.MsgspecError as error:
        raise StateError(
            f"{store_dir / MARKER} cannot be read: {error}", hint="name another folder in store.dir"
        ) from None
    if found.schema != SCHEMA:
        raise StateError(
            f"{store_dir} was written in schema {found.schema}, this program reads {SCHEMA}",
            hint="use the version that wrote it, or name another folder in store.dir",
        )
    if found.restoring and not restores:
        raise StateError(
            f"{store_dir} holds half of a backup: its restore was cut",
            hint="run `deltawire restore` again, or remove the folder",
        )
    if found.shards != shards and not found.restoring:
        raise StateError(
            f"{store_dir} was made with {found.shards} shards, the config says {shards}",
            hint=f"say store.shards: {found.shards}, or name another folder in store.dir",
        )
    return found.restoring


def make_private(folder: Path, what: str, hint: str) -> None:
    """Make a folder that only we may enter, or close ours to others. Raises StateError for a link or another's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # By a handle: a user who may write beside it could put a link in its place between two looks at its name.
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            owner = os.fstat(handle).st_uid
            if owner == os.getuid():
                os.fchmod(handle, 0o700)
        finally:
            os.close(handle)
    except OSError as error:
        reason = "it is a symbolic link" if folder.is_symlink() else error.strerror
        raise StateError(f"the {what} {folder} cannot be used: {reason}", hint=hint) from None
    if owner != os.getuid():
        raise StateError(
            f"the {what} {folder} belongs to user {owner}, not to you ({os.getuid()})", hint=hint
        )


def hold(folder: Path, name: str = "folder") -> IO[str]:
    """Hold the folder's lock ``<name>.lock`` for as long as the returned file is open.

    The kernel frees it when the process dies. Raises StateError if another process holds it.
    """
    path = folder / f"{name}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise StateError(
            f"the state folder {folder} cannot be used: {error.strerror}", hint=_NAME_ANOTHER
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read(20).strip() or "unknown"
        file.close()
        raise StateError(
            f"the state folder {folder} is in use ({path.name} is held by process {holder})",
            hint="stop that process, or name another folder in store.dir",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def shard_folder(store_dir: Path, cluster_id: str, resource: str, generation: int, shard: int) -> Path:
    """Where a shard's environment of that generation lies."""
    return informer_folder(store_dir, cluster_id, resource) / f"{generation:08d}" / f"shard-{shard}"


def informer_folder(store_dir: Path, cluster_id: str, resource: str) -> Path:
    """The folder of one informer: all generations of all its shards."""
    return cluster_folder(store_dir, cluster_id) / _as_name(resource)


def cluster_folder(store_dir: Path, cluster_id: str) -> Path:
    """The folder of a cluster's caches. It may bear the id by which the cluster was known first: a link leads there."""
    folder = store_dir / _as_name(cluster_id)
    return store_dir / folder.readlink().name if folder.is_symlink() else folder


def newest_generation(store_dir: Path, cluster_id: str, resource: str, shard: int) -> int:
    """The highest generation in which the shard has a folder, 0 if it has none."""
    return max(
        (int(path.parent.name) for path in _shard_folders(store_dir, cluster_id, resource, shard)), default=0
    )


def find_shards(store_dir: Path, cluster_id: str, resource: str) -> list[Path]:
    """The newest folder of each shard of an informer, by shard; [] if nothing is stored."""
    newest: dict[int, Path] = {}
    for path in sorted(_shard_folders(store_dir, cluster_id, resource)):
        newest[int(path.name.removeprefix("shard-"))] = path
    return [newest[shard] for shard in sorted(newest)]


def last_cluster_id(store_dir: Path, cluster: str) -> str:
    """The id that the cluster of this name had when it was last seen; "" if it never was."""
    return known_clusters(store_dir).get(cluster, "")


def known_clusters(store_dir: Path) -> dict[str, str]:
    """Ids by the clusters' names. Raises StateError."""
    try:
        return msgspec.json.decode((store_dir / CLUSTERS).read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        # Only a memory aid: the ids are read from the API server again, and then it is written anew.
        log.warning("%s is damaged and not believed: %s", store_dir / CLUSTERS, error)
        return {}
    except OSError as error:
        raise StateError(
            f"{store_dir / CLUSTERS} cannot be read: {error.strerror}", hint="make it readable, or remove it"
        ) from None


def _shard_folders(store_dir: Path, cluster_id: str, resource: str, shard: int | None = None) -> list[Path]:
    pattern = "shard-*" if shard is None else f"shard-{shard}"
    folder = informer_folder(store_dir, cluster_id, resource)
    return [
        path
        for path in folder.glob(f"*/{pattern}")
        if _GENERATION.fullmatch(path.parent.name)
        and path.name.removeprefix("shard-").isdecimal()
        and (path / "data.mdb").exists()
    ]


def _as_name(text: str) -> str:
    """A cluster's id or a resource as a folder's name: what an API server says never leads elsewhere."""
    return text if _SAFE_NAME.fullmatch(text) else sha256(text.encode()).hexdigest()[:32]
