"""What the state folder keeps of a cluster beside its caches: the address at which its id was read, and former ids.

A cluster whose uid was not readable is known by its address, a hash that serves as the id. When the uid is read later,
at the same address, its caches stay where they are, and a link under the uid leads there.
"""

import fcntl
from pathlib import Path

import msgspec

from deltawire.common.errors import StateError
from deltawire.common.store.files import beside, write_whole
from deltawire.common.store.folder import CLUSTERS, cluster_folder, known_clusters

# In the cluster's folder; no resource's folder has such a name.
ADDRESS = ".address"


def remember_name(store_dir: Path, cluster: str, cluster_id: str) -> None:
    """Keep the id for `last_cluster_id`. Several workers may write the same; a lock keeps them in turn.

    Raises OSError.
    """
    if known_clusters(store_dir).get(cluster) == cluster_id:
        # Also where nothing can be written any more.
        return
    with (store_dir / "clusters.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = known_clusters(store_dir)
        if known.get(cluster) != cluster_id:
            write_whole(store_dir / CLUSTERS, msgspec.json.encode({**known, cluster: cluster_id}))


def address_of(store_dir: Path, cluster_id: str) -> str:
    """ "" where none was kept. Raises StateError."""
    try:
        return (cluster_folder(store_dir, cluster_id) / ADDRESS).read_text()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"the address of cluster {cluster_id} cannot be read: {error}") from None


def remember(store_dir: Path, cluster_id: str, address: str, *, was: str = "") -> None:
    """Keep the address of a cluster. ``was``: the id by which its caches were made, if that is another one.

    Several workers may write the same at one time. Raises OSError.
    """
    folder = cluster_folder(store_dir, cluster_id)
    if was and not folder.exists():
        link = beside(folder)
        link.symlink_to(cluster_folder(store_dir, was).name)
        link.replace(folder)
        folder = cluster_folder(store_dir, cluster_id)
    if address and address_of(store_dir, cluster_id) != address:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(folder / ADDRESS, address.encode())
