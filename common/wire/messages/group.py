"""Informer worker ↔ handler: events of groups and what became of them, queries and their rows (docs/wire.md §7)."""

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from deltawire.common.meta.clauses import CLAUSES_MAX, Clause
from deltawire.common.wire.messages.fields import ITEMS, Count, Message, Object, Text, Us
from deltawire.common.wire.messages.proofs import InformerProof

# A thousand years: what is longer is no time.
_LONG_S = 3.2e10
EventKind = Literal["A", "U", "D", "S"]
# Why changes are lost for a group (`Gap`).
Reason = Literal["relist", "forgotten"]


class HandlerHello(msgspec.Struct, frozen=True):
    """What a replica says of itself. ``held``: the calls it is in: informer, shard, key, seq, fence.

    ``filters``: of informers whose events are not all wanted: the clauses of its functions, one of which must want an
    event. ``late``: its acks may be late, and it understands `AcksWanted`.
    """

    group: str
    informers: list[str]
    delivery: str = "latest"
    resync_s: Annotated[float, Meta(ge=0, le=_LONG_S)] = 0.0
    window: int = 256
    window_bytes: int = 16 * 1024 * 1024
    attempts_max: Count | None = None
    old: bool = True
    held: list[tuple[str, int, str, Count, Count]] = []
    filters: dict[str, Annotated[list[Clause], Meta(max_length=CLAUSES_MAX)]] = {}
    late: bool = False


class EventRow(NamedTuple):
    """One event. ``at``: when the reflector read the change; ``flags``: those of docs/wire.md §7.

    ``parts``: of a replica with clauses, a letter for each: what the event is to functions with this clause.
    ``A``, ``U``, ``D``, ``S`` as ``kind``, ``L`` it is stored but not wanted any more, ``-`` nothing.
    """

    seq: Count
    key: Text
    kind: EventKind
    uid: Text
    version: Text
    at: int
    attempt: Count
    fence: Count
    flags: Count
    object: Object | None
    old: Object | None
    parts: Text = ""


class AckRow(NamedTuple):
    """What became of an event. ``verdict``: 0 done, 1 again after ``after_ms``, 2 dead."""

    key: Text
    seq: int
    fence: int
    verdict: int
    after_ms: Annotated[int, Meta(le=int(1000 * _LONG_S))]
    error: Text


class Opened(Message, tag="opened"):
    """The shard can be read at ``folder``."""

    informer: Text
    shard: Count
    shards: Count
    folder: Text


class Events(Message, tag="events"):
    informer: Text
    shard: Count
    rows: Annotated[list[EventRow], ITEMS]


class Gap(Message, tag="gap"):
    """Changes of a stream are lost for the group.

    ``reason`` ``relist``: the API server's history was lost. Changes after version ``lost_from`` ("?" = not known) up
    to ``version`` are lost, except those among the events. ``forgotten``: the group stayed away for longer than
    ``store.forget_after`` and begins anew; no versions. ``number``: of the notice in its shard. ``generation``:
    the list's number, the same in all shards. ``at``: when the worker found it. ``attempt``: 1 only in the first
    notice of shard 0 of a list; 2 or more in all others: a replica may have got a notice of that list already.
    """

    informer: Text
    shard: Count
    number: Count
    reason: Reason
    stream: Text
    generation: Count
    lost_from: Text
    version: Text
    at: Us
    attempt: Count = 1


class Synced(Message, tag="synced"):
    """Everything that was stored in the shard when the group came is acknowledged or parked."""

    informer: Text
    shard: Count


class AcksWanted(Message, tag="acks-wanted"):
    """Something waits for the acks of these keys' events, or of all that the replica holds where there are none."""

    informer: Text
    keys: Annotated[list[Text], ITEMS]


class StoredRow(NamedTuple):
    """An object in an answer."""

    key: Text
    version: Text
    object: Object


class Rows(Message, tag="rows"):
    """The answer to query ``id``. ``after``: where to go on, "" = complete."""

    id: Count
    rows: Annotated[list[StoredRow], ITEMS]
    after: Text


class ChangedRow(NamedTuple):
    """A stored object. ``seq``: the shard's number of its newest change; ``at``: when the reflector read it."""

    key: Text
    uid: Text
    version: Text
    seq: Count
    at: int
    object: Object


class Changes(Message, tag="changes"):
    """The answer to query ``id`` for changes or a row. ``seq``: where to go on.

    ``store``: names the shard's present cache; in another one numbers begin anew. ``objects``: how many are stored.
    """

    id: Count
    rows: Annotated[list[ChangedRow], ITEMS]
    seq: Count
    store: Text
    objects: Count


class Problem(Message, tag="problem"):
    """Query ``id`` cannot be answered."""

    id: Count
    text: Text


class InformerProofs(Message, tag="proof"):
    """How fresh the worker's part of each informer is; one that is not named is not known."""

    rows: Annotated[list[InformerProof], ITEMS]


class Acks(Message, tag="acks"):
    informer: Text
    shard: Count
    rows: Annotated[list[AckRow], ITEMS]


class GapSeen(Message, tag="gap-seen"):
    """The notice need not be sent again."""

    informer: Text
    shard: Count
    number: Count


class Bye(Message, tag="bye"):
    """The replica leaves: no call is under way, and what it has not acknowledged never began."""


class Query(Message, tag="query"):
    """Verbs and their arguments: ``get`` key; ``list`` prefix, after, limit; ``keys`` the same, without the objects;
    ``index`` name, value, after, limit. With `Changes` in answer: ``row`` key; ``changes`` after a seq, limit.
    """

    id: Count
    informer: Text
    shard: Count
    verb: Text
    arguments: Annotated[list[Any], Meta(max_length=8)]


ToHandler = AcksWanted | Opened | Events | Gap | Synced | Rows | Changes | Problem | InformerProofs
FromHandler = Acks | GapSeen | Bye | Query
