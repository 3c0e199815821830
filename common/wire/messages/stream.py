"""Reflector ↔ fifo: lists and watches of streams as deltas, and the credit for them (docs/wire.md §5)."""

from typing import Annotated, Literal, NamedTuple

import msgspec

from deltawire.common.wire.messages.fields import ITEMS, Count, Message, Object, Text, Us
from deltawire.common.wire.messages.proofs import StreamProof

# Added, updated, deleted, by the watch; R: named by a list.
DeltaType = Literal["A", "U", "D", "R"]


class Delta(NamedTuple):
    """One change as the API server told it. ``version`` "": the object has none."""

    type: DeltaType
    namespace: Text
    name: Text
    uid: Text
    version: Text
    object: Object


class ReflectorHello(msgspec.Struct, frozen=True):
    """What a reflector says of itself: the streams that it owns, as informer and stream."""

    streams: Annotated[list[tuple[Text, Text]], ITEMS]


class Cluster(Message, tag="cluster"):
    """Both ways: the cluster's id. ``address``: a hash of the API server's URL and CA. Each is "" where not known."""

    cluster: Text
    id: Text
    address: Text = ""


class Begin(Message, tag="begin"):
    """A list begins; it aborts an open one."""

    informer: Text
    stream: Text
    generation: Count


class Deltas(Message, tag="deltas"):
    """``version``: the stream is complete up to here, "" inside a list and where no version says so. ``at``: when the
    oldest of them was read."""

    informer: Text
    stream: Text
    version: Text
    at: Us
    rows: Annotated[list[Delta], ITEMS]


class Mark(Message, tag="mark"):
    """Nothing changed up to ``version``."""

    informer: Text
    stream: Text
    version: Text


class End(Message, tag="end"):
    """The list is complete: it had ``items``. ``version`` "": its server gives none."""

    informer: Text
    stream: Text
    generation: Count
    items: Count
    version: Text


class StreamProofs(Message, tag="proof"):
    """What holds of the streams that watch once all that was sent before is stored."""

    rows: Annotated[list[StreamProof], ITEMS]


class Start(Message, tag="start"):
    """``resume`` "": list, at ``floor`` where that is known. ``deltas`` and ``bytes`` open the credit."""

    informer: Text
    stream: Text
    resume: Text
    floor: Text
    generation: Count
    deltas: Count
    bytes: Count


class Stop(Message, tag="stop"):
    """The stream stands still with this error until the next start."""

    informer: Text
    stream: Text
    reason: Text


class Credit(Message, tag="credit"):
    """So much more may be sent."""

    informer: Text
    stream: Text
    deltas: Count
    bytes: Count


FromReflector = Cluster | Begin | Deltas | Mark | End | StreamProofs
ToReflector = Cluster | Start | Stop | Credit
