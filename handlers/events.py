"""Events in a handler's process: the row of the wire, and the `Event` that a function gets.

Not here: decoding of objects (``calls``), order and verdicts (``dispatch``).
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from deltawire.common.meta.keys import display_key, split_key
from deltawire.common.wire.messages import group as wire

KINDS = {"A": "added", "U": "updated", "D": "deleted", "S": "resync", "G": "gap"}
# A notice of lost changes, which travels as an event of a key that no object has: its stream.
GAP_NOTICE = "G"

FINAL_STATE_UNKNOWN = 1
GAP = 2
COALESCED = 4
INITIAL = 8
OUT_OF_SCOPE = 16

_FLAG_NAMES = (
    (FINAL_STATE_UNKNOWN, "final-state-unknown"),
    (GAP, "gap"),
    (COALESCED, "coalesced"),
    (INITIAL, "initial"),
    (OUT_OF_SCOPE, "out-of-scope"),
)


def flag_names(flags: int) -> list[str]:
    """The words of a flags number, as JSON lines and logs show them."""
    return [name for bit, name in _FLAG_NAMES if flags & bit]


class Delivery(msgspec.Struct, gc=False):
    """One row of an ``events`` message (docs/wire.md §7) and where it came from.

    ``link`` is the number of the worker's link, ``at_us`` µs since the epoch, ``kind`` one of A U D S G. ``is_hot``:
    its ack is waited for, or will be: another event of the key came shortly before, or it came again (`late_acks`).
    """

    link: int
    informer: str
    shard: int
    seq: int
    key: str
    kind: str
    uid: str
    version: str
    at_us: int
    attempt: int
    fence: int
    flags: int
    object: bytes | None
    old: bytes | None
    parts: str = ""
    is_hot: bool = False


class Event(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The second argument of a handler's function: facts about the event.

    key, namespace, name    ``namespace/name``; the bare name for cluster-scoped objects
    informer                ``cluster/resource``; ``cluster`` and ``resource`` are its parts
    kind                    ``added``, ``updated``, ``deleted`` or ``resync``
    attempt                 1 for the first delivery, one more for each repeated one
    fence                   rises each time the key is handed to another replica
    lag_s                   seconds since the reflector read the change
    final_state_unknown     a deletion whose object may be stale, or only its metadata
    gap                     `every` only: changes of the object before this one were lost
    coalesced               older changes of this object were merged into this one
    initial                 the object existed before the group did
    out_of_scope            not deleted: the informer's selection does not cover the object any more
    old_known               an update's old object is known; also false where no function asks for it
    """

    key: str
    namespace: str
    name: str
    resource: str
    informer: str
    cluster: str
    kind: str
    uid: str
    resource_version: str
    attempt: int = 1
    fence: int = 0
    lag_s: float = 0.0
    final_state_unknown: bool = False
    gap: bool = False
    coalesced: bool = False
    initial: bool = False
    out_of_scope: bool = False
    old_known: bool = False

    @property
    def resync(self) -> bool:
        """The object did not change; the handler asked to see it again from time to time."""
        return self.kind == "resync"


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of an ``on_gap`` function: changes that are lost.

    informer                ``cluster/resource``; ``cluster`` and ``resource`` are its parts
    namespace               of the objects it is about; "" = all that the handler gets of the informer
    reason                  ``relist``: the API server's history was lost, and a list was made; objects created and
                            deleted in between have no event, and the events of what changed say ``gap``.
                            ``forgotten``: the handler was away for too long, and gets all objects anew
    lost_from, version      of a relist: what changed after the one up to the other; "?" = not known
    attempt                 1 once at most; else 2 or more: the handler may have got this notice before
    """

    informer: str
    cluster: str
    resource: str
    namespace: str
    reason: str
    lost_from: str
    version: str
    attempt: int = 1


def gap_of(delivery: Delivery) -> Gap:
    """The `Gap` of a notice."""
    cluster, _, resource = delivery.informer.partition("/")
    reason, lost_from = msgspec.json.decode(delivery.object or b"", type=tuple[str, str])
    return Gap(
        informer=delivery.informer,
        cluster=cluster,
        resource=resource,
        namespace="" if delivery.key == "*" else delivery.key,
        reason=reason,
        lost_from=lost_from,
        version=delivery.version,
        attempt=delivery.attempt,
    )


def delivery_of_gap(link: int, notice: wire.Gap) -> Delivery:
    """A notice as what `Dispatch` hands out: at its turn, never beside another of its stream."""
    details = msgspec.json.encode((notice.reason, notice.lost_from))
    return Delivery(
        link, notice.informer, notice.shard, notice.number, notice.stream, GAP_NOTICE, "",
        notice.version, notice.at, notice.attempt, 0, 0, details, None, "", True,
    )  # fmt: skip


def event_of(delivery: Delivery, wall_us: int) -> Event:
    """The `Event` of a row, called at ``wall_us`` (µs since the epoch)."""
    namespace, name = split_key(delivery.key)
    cluster, _, resource = delivery.informer.partition("/")
    flags = delivery.flags
    return Event(
        key=display_key(delivery.key),
        namespace=namespace,
        name=name,
        resource=resource,
        informer=delivery.informer,
        cluster=cluster,
        kind=KINDS[delivery.kind],
        uid=delivery.uid,
        resource_version=delivery.version,
        attempt=delivery.attempt,
        fence=delivery.fence,
        lag_s=max(0, wall_us - delivery.at_us) / 1e6,
        final_state_unknown=bool(flags & FINAL_STATE_UNKNOWN),
        gap=bool(flags & GAP),
        coalesced=bool(flags & COALESCED),
        initial=bool(flags & INITIAL),
        out_of_scope=bool(flags & OUT_OF_SCOPE),
        old_known=delivery.old is not None,
    )


@dataclass(frozen=True, slots=True)
class Requeue:
    """Returned by a function: it succeeded; call again for this key after ``after_s`` seconds.

    The informer worker stores this with the key, so it survives a crash of the handler.
    """

    after_s: float

    def __post_init__(self) -> None:
        if not self.after_s >= 0:
            raise ValueError(f"Requeue(after_s={self.after_s!r}): after_s must be 0 or more")


class Retry(Exception):
    """Raised by a function: it failed, deliver the event again.

    ``after_s`` seconds later, or by the rate limiter's delay (5 ms, doubled each attempt) where it is None.
    """

    def __init__(self, why: str = "", after_s: float | None = None) -> None:
        super().__init__(why)
        if after_s is not None and not after_s >= 0:
            raise ValueError(f"Retry(after_s={after_s!r}): after_s must be 0 or more")
        self.why = why
        self.after_s = after_s


class Dead(Exception):
    """Raised by a function: trying again cannot help. The event becomes a dead letter."""

    def __init__(self, why: str = "") -> None:
        super().__init__(why)
        self.why = why


# What an author's function is given as an object: decoded JSON, or the API server's bytes (``raw=True``).
Object = dict[str, Any] | bytes
