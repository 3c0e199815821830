"""The broker's actions on its two sockets. The shell carries them out, in order."""

from enum import StrEnum

import msgspec

from deltawire.common.wire.messages.fields import Message


class Side(StrEnum):
    """The two sockets, by their names in docs/wire.md §1."""

    REFLECTORS = "fifo-in"
    WORKERS = "fifo-out"


class Welcome(msgspec.Struct, frozen=True):
    """Open the session that a hello asked for."""

    side: Side
    identity: bytes


class Refuse(msgspec.Struct, frozen=True):
    """Answer a hello with a no; the peer tries again after a while."""

    side: Side
    identity: bytes
    reason: str


class Reset(msgspec.Struct, frozen=True):
    """End the session of a peer; it must say hello again."""

    side: Side
    identity: bytes
    reason: str


class Send(msgspec.Struct, frozen=True):
    side: Side
    identity: bytes
    message: Message


Action = Welcome | Refuse | Reset | Send
