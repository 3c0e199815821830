"""The broker's actions on its two sockets. The shell carries them out, in order."""

from dataclasses import dataclass
from enum import StrEnum

from deltawire.common.wire.messages.fields import Message


class Side(StrEnum):
    """The two sockets, by their names in docs/wire.md §1."""

    REFLECTORS = "fifo-in"
    WORKERS = "fifo-out"


@dataclass(frozen=True, slots=True)
class Welcome:
    """Open the session that a hello asked for."""

    side: Side
    identity: bytes


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer a hello with a no; the peer tries again after a while."""

    side: Side
    identity: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Reset:
    """End the session of a peer; it must say hello again."""

    side: Side
    identity: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Send:
    side: Side
    identity: bytes
    message: Message


Action = Welcome | Refuse | Reset | Send
