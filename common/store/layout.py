"""What lies in a shard's LMDB environment: the names of its databases, how keys and rows are packed.

| db | key → value |
| --- | --- |
| ``objects`` | key → row: the newest state of each live object |
| ``index/<name>`` | indexed value → keys (dupsort) |
| ``changes`` | seq → key: one row per live object, its newest change |
| ``gone`` | seq → row: a deletion with the last content, until every group is past it |
| ``history`` | seq → row and what replaced it: a version that an ``every`` group has not acknowledged yet |
| ``groups`` | name → position and what else a group is remembered by (informer.groups.state) |
| ``parked`` | group, seq → a change set aside: to be tried again, or dead |
| ``owed`` | group, born → what the group's next event of this life must say (informer.groups.memory) |
| ``matched`` | group, born → under which clauses of its filter the group may know this life (informer.groups.matched) |
| ``meta`` | ``state``, ``stream/<stream>`` (common.store.meta) |
| ``seen`` | key → generation of the list that named it, while that list is open |
| ``aside`` | key → row: items of the open list that are older than what is stored |
| ``lost`` | key → lives: after a crash of the machine, objects that may be deleted (informer.store.lost) |

LMDB's keys and duplicate values end at 511 bytes and may not be empty, so every text used as one gets a type
byte in front, and over 480 bytes is cut: the first 400 and a hash of all. The row then holds the whole text,
which is compared after the read.
"""

import struct
from functools import lru_cache
from hashlib import sha256

import msgspec

# 1: ``history`` did not hold what replaced a row, ``owed`` was by key (informer.store.migrate).
SCHEMA = 2

OBJECTS = b"objects"
CHANGES = b"changes"
GONE = b"gone"
HISTORY = b"history"
GROUPS = b"groups"
PARKED = b"parked"
OWED = b"owed"
MATCHED = b"matched"
META = b"meta"
SEEN = b"seen"
ASIDE = b"aside"
LOST = b"lost"
PLAIN_DBS = (OBJECTS, CHANGES, GONE, HISTORY, GROUPS, PARKED, OWED, MATCHED, META, SEEN, ASIDE, LOST)
INDEX_PREFIX = "index/"

# Sparse: address space, not disk. The bound that counts is `max_bytes` of the informer.
MAP_BYTES = 64 << 30
READERS_MAX = 1024
DBS_MAX = 128

TEXT_BYTES_MAX = 480
# Keys of objects that are remembered: each is used some times soon after another.
_KEYS_KNOWN = 256
_TEXT_KEPT_BYTES = 400
_TEXT = b"\x01"
# No UTF-8 text contains this byte, so a cut key never equals a whole one.
_CUT = b"\xff"

# Flags of a row.
FINAL_STATE_UNKNOWN = 1
# Versions between this one and the one stored before it may be lost.
HISTORY_LOST = 2
OUT_OF_SCOPE = 16

# flags, seq, born, at (µs), then the lengths of uid, version, key and index entries.
_HEADER = struct.Struct("<BQQqHHHI")
_SEQ = struct.Struct(">Q")


class Row(msgspec.Struct, gc=False):
    """One version of an object as stored.

    ``seq``: the shard's number of this change; ``born``: the one of the object's first; ``at``: µs since the
    epoch when the reflector read it. ``object``: JSON as received. ``indexed``: its index entries, packed.
    """

    key: str
    uid: str
    version: str
    seq: int
    born: int
    at: int
    object: bytes
    flags: int = 0
    indexed: bytes = b""


def text_key(text: str) -> bytes:
    """``text`` as a key of the database: never empty, at most 434 bytes, in the order of the texts."""
    raw = text.encode()
    if len(raw) <= TEXT_BYTES_MAX:
        return _TEXT + raw
    return _TEXT + raw[:_TEXT_KEPT_BYTES] + _CUT + sha256(raw).digest()


# As `text_key`, for the keys of objects.
object_key = lru_cache(_KEYS_KNOWN)(text_key)


def prefix_key(prefix: str) -> bytes:
    """What the `text_key` of every text with this prefix starts with (cut ones included)."""
    return _TEXT + prefix.encode()[:_TEXT_KEPT_BYTES]


def text_of(key: bytes) -> str:
    """The text of a whole key; "" of a cut one: the row knows it."""
    return "" if is_cut(key) else key[1:].decode()


def is_cut(key: bytes) -> bool:
    """True if the key is of a text longer than the database takes."""
    return key[_TEXT_KEPT_BYTES + 1 : _TEXT_KEPT_BYTES + 2] == _CUT


def seq_key(seq: int) -> bytes:
    """A number as a key, in numeric order."""
    return _SEQ.pack(seq)


def seq_of(key: bytes) -> int:
    """Inverse of `seq_key`."""
    return int(_SEQ.unpack(key)[0])


def pack_row(row: Row, *, with_key: bool) -> bytes:
    """A row as bytes. ``with_key``: where the database's key is not the object's (cut, or a seq)."""
    uid, version = row.uid.encode(), row.version.encode()
    key = row.key.encode() if with_key else b""
    header = _HEADER.pack(
        row.flags, row.seq, row.born, row.at, len(uid), len(version), len(key), len(row.indexed)
    )
    return b"".join((header, uid, version, key, row.indexed, row.object))


def unpack_row(data: bytes, key: str = "") -> Row:
    """Inverse of `pack_row`; ``key`` where the row does not hold it."""
    flags, seq, born, at, uid_bytes, version_bytes, key_bytes, indexed_bytes = _HEADER.unpack_from(data)
    uid_end = _HEADER.size + uid_bytes
    version_end = uid_end + version_bytes
    key_end = version_end + key_bytes
    indexed_end = key_end + indexed_bytes
    return Row(
        data[version_end:key_end].decode() if key_bytes else key,
        data[_HEADER.size : uid_end].decode(),
        data[uid_end:version_end].decode(),
        seq,
        born,
        at,
        data[indexed_end:],
        flags,
        data[key_end:indexed_end],
    )


def born_of(data: bytes) -> int:
    """The ``born`` of a packed row."""
    return int(_HEADER.unpack_from(data)[2])


def pack_past(row: Row, replaced_by: int) -> bytes:
    """A row of ``history``; ``replaced_by``: the change that overwrote or deleted this version."""
    return pack_row(row, with_key=True) + seq_key(replaced_by)


def unpack_past(data: bytes) -> tuple[Row, int]:
    """Inverse of `pack_past`: (row, what replaced it)."""
    row = unpack_row(data[: -_SEQ.size])
    return row, seq_of(data[-_SEQ.size :])


def pack_indexed(entries: dict[str, list[str]]) -> bytes:
    """The index entries of an object: index → values, sorted, so that equal entries are equal bytes."""
    return msgspec.msgpack.encode({k: sorted(v) for k, v in sorted(entries.items()) if v}) if entries else b""


def unpack_indexed(data: bytes) -> dict[str, list[str]]:
    """Inverse of `pack_indexed`."""
    return _decode_indexed(data) if data else {}


_decode_indexed = msgspec.msgpack.Decoder(dict[str, list[str]]).decode
