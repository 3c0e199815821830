"""What a shard remembers of each handler group on disk."""

import msgspec

from deltawire.common.store.layout import Row, seq_key, seq_of, text_key
from deltawire.common.wire.messages.group import EventKind
from deltawire.informer.groups.gap_notices import Gap
from deltawire.informer.groups.matched import Life

EVERY = "every"
LATEST = "latest"


class KnownReplica(msgspec.Struct, frozen=True, array_like=True):
    """A process that may still be in a call when the worker comes back (docs/wire.md §3 for the fields)."""

    name: str
    nonce: str
    pid: int
    started: int
    host: str


class GroupState(msgspec.Struct, omit_defaults=True):
    """A group's row.

    ``position``: it has acknowledged or parked all changes up to here, ``done`` those above as ranges (first,
    last, first, last, …). ``birth``: the newest change when it registered. ``every_since``: the newest change
    when it began to take every version; -1 = at its birth. ``listed_at``: the newest change when the
    shard was first complete, ``synced_at``: its position from which it is synced; -1 = not known yet.
    ``gap_to``, ``coalesced_to``: changes up to here are delivered with these flags. ``last_seen``: wall s.
    ``sent_to``: nothing above it was sent for the first time; committed ahead (`SentAhead`). -1: not known.
    ``gaps``: notices of lost changes that it has not seen. ``clauses``: its filter, each clause with its bit in rows of
    ``matched``; {}: it never had one. ``rescan``, ``adopt_to``, ``lost_to``, ``open_to``: see `scope.Scope`.
    """

    position: int = 0
    done: list[int] = []
    birth: int = 0
    every_since: int = -1
    listed_at: int = -1
    synced_at: int = -1
    delivery: str = LATEST
    replicas: list[KnownReplica] = []
    last_seen: float = 0.0
    epoch: int = 0
    gap_to: int = 0
    coalesced_to: int = 0
    sent_to: int = -1
    gaps: list[Gap] = []
    forgotten: bool = False
    clauses: dict[str, int] = {}
    rescan: bool = False
    adopt_to: int = 0
    lost_to: int = 0
    open_to: int = 0


class Parked(msgspec.Struct, omit_defaults=True):
    """A change set aside: waiting to be tried again, or (``dead``) for a person.

    ``object`` is the content where the store may not keep it: deletions, and all of ``every``. ``solo``: it may
    have killed its handler, so it is sent alone. ``not_before``: wall s. ``sent``: a handler was sent it;
    ``again``: its next delivery may repeat one that ``attempts``, the failures, do not count. ``left``: not
    deleted, but out of the group's filter.
    """

    seq: int
    key: str
    kind: EventKind
    uid: str = ""
    version: str = ""
    born: int = 0
    at: int = 0
    flags: int = 0
    attempts: int = 0
    not_before: float = 0.0
    error: str = ""
    dead: bool = False
    solo: bool = False
    sent: bool = False
    again: bool = False
    fence: int = 0
    object: bytes | None = None
    old: bytes | None = None
    left: bool = False


encode = msgspec.msgpack.Encoder().encode
decode_group = msgspec.msgpack.Decoder(GroupState).decode
decode_parked = msgspec.msgpack.Decoder(Parked).decode
decode_life = msgspec.msgpack.Decoder(Life).decode


def group_key(group: str) -> bytes:
    return text_key(group)


def parked_key(group: str, seq: int) -> bytes:
    """Names of groups have no zero byte (config), so no group's keys are a prefix of another's."""
    return group.encode() + b"\0" + seq_key(seq)


def note_key(group: str, born: int) -> bytes:
    return group.encode() + b"\0" + seq_key(born)


def born_of_note(raw: bytes) -> int:
    """The life that a row of ``owed`` or ``matched`` is about."""
    return seq_of(raw.partition(b"\0")[2])


def group_of(raw: bytes) -> str:
    """The group that a key of ``parked``, ``owed`` or ``matched`` belongs to."""
    return raw.partition(b"\0")[0].decode()


def to_ranges(numbers: "set[int]") -> list[int]:
    """Numbers as ranges: {1, 2, 3, 7} → [1, 3, 7, 7]."""
    ranges: list[int] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1] + 1:
            ranges[-1] = number
        else:
            ranges += (number, number)
    return ranges


def from_ranges(ranges: list[int]) -> "set[int]":
    """Inverse of `to_ranges`."""
    return {
        number
        for first, last in zip(ranges[::2], ranges[1::2], strict=True)
        for number in range(first, last + 1)
    }


def row_of_parked(parked: Parked) -> Row:
    """The change as it was stored; empty content where the store still has it."""
    return Row(
        parked.key,
        parked.uid,
        parked.version,
        parked.seq,
        parked.born,
        parked.at,
        parked.object or b"",
        parked.flags,
    )
