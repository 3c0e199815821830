"""What a `listener.Listener` reports: hellos, messages, ends of sessions."""

from enum import Enum

import msgspec

from deltawire.common.wire.session import Peer


class Hello(msgspec.Struct, frozen=True):
    """Someone asks for a session: answer with `Listener.welcome` or `Listener.refuse`."""

    peer: Peer


class Arrived(msgspec.Struct, frozen=True):
    """A message of a peer's present session, packed (`codec.Decoder`)."""

    peer: Peer
    message: msgspec.Raw


class Ending(Enum):
    """How a session ended, for those who hold something of the peer's.

    ``LOST``: the process is dead, silent, or does not read: it will send nothing more. ``AGAIN``: it has said hello
    again. ``RESET``: it lives and was sent a reset, since messages were lost or broke the rules. ``LEFT``: it said
    goodbye (`Listener.let_go`).
    """

    LOST = "lost"
    AGAIN = "again"
    RESET = "reset"
    LEFT = "left"


class Gone(msgspec.Struct, frozen=True):
    """The peer's session ended; ``how`` decides what follows, ``reason`` is for people."""

    peer: Peer
    reason: str
    how: Ending = Ending.LOST


ListenerEvent = Hello | Arrived | Gone
