"""Keys of objects and the shard a key belongs to."""

from hashlib import blake2b
from zlib import crc32


def key_of(namespace: str, name: str) -> str:
    """``namespace/name``; cluster-scoped objects have the empty namespace: ``/name``.

    client-go writes the bare name for cluster-scoped objects. The slash is always kept
    here, so that all keys of a namespace are one prefix, the empty namespace included.
    """
    return f"{namespace}/{name}"


def split_key(key: str) -> tuple[str, str]:
    """Inverse of `key_of`, and of what people and client-go write: ("", name) for a name alone."""
    namespace, slash, name = key.partition("/")
    return (namespace, name) if slash else ("", key)


def display_key(key: str) -> str:
    """As people write it: ``ns/name``, and the bare name for cluster-scoped objects."""
    return key[1:] if key.startswith("/") else key


def shard_of(key: str, shards: int) -> int:
    """The fixed shard of a key, 0 ≤ shard < shards. Part of the state's format: never change it."""
    return crc32(key.encode()) % shards


def rendezvous_rank(item: str, owner: int) -> int:
    """How much the numbered process ``owner`` wants ``item``: the highest rank wins.

    More or fewer owners move only the items that must move. An independent draw for each pair, which a CRC is not. All
    parts of a pipeline compute the same owners, also those of the version before: never change it.
    """
    return int.from_bytes(blake2b(f"{item}\0{owner}".encode(), digest_size=8).digest(), "little")
