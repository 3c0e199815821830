"""The types of fields that several messages share, with their bounds (docs/wire.md §2), and what all messages are."""

from typing import Annotated

import msgspec
from msgspec import Meta

from deltawire.common.limits import ARRAY_ITEMS_MAX, OBJECT_BYTES_MAX, STRING_BYTES_MAX

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# µs, or µs since the epoch.
Us = Count
Text = Annotated[str, Meta(max_length=STRING_BYTES_MAX)]
# A Kubernetes object as JSON, as the API server sent it.
Object = Annotated[bytes, Meta(max_length=OBJECT_BYTES_MAX)]
ITEMS = Meta(max_length=ARRAY_ITEMS_MAX)


class Message(msgspec.Struct, array_like=True, gc=False):
    """A message is an array: its kind, then its fields in their order. Each kind is one class, used by both ends.

    Fields behind those that are known here are of a newer version, and ignored. A new field stands last and has a
    default, for peers that do not send it.
    """
