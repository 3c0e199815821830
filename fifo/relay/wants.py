"""What the pure parts ask of the shell. It answers with the calls of `deltawire.fifo.relay.broker.RelayBroker`."""

import msgspec


class Publish(msgspec.Struct, frozen=True):
    """Answered with ``published``, or with ``fenced`` if another leader has published since ``follows``."""

    informer: str
    shard: int
    reign: str
    id: tuple[str, int]
    payload: bytes
    follows: int


class Resign(msgspec.Struct, frozen=True):
    """The reign has ended. ``is_declined``: it never began here, so the next one waits until this broker may lead."""

    informer: str
    reign: str
    is_declined: bool = False


class Consume(msgspec.Struct, frozen=True):
    """From the shard's first message on, until another `Consume` of it or `Leave`. Answered with ``opened``, then with
    ``delivered`` for each message, in order."""

    informer: str
    shard: int
    token: int


class Leave(msgspec.Struct, frozen=True):
    """Nobody here wants the shard's messages now."""

    informer: str
    shard: int


class Done(msgspec.Struct, frozen=True):
    """All messages of the shard before ``sequence`` are stored by its worker, and of no use. ``messages`` and ``bytes``
    of what was delivered make room."""

    informer: str
    shard: int
    token: int
    sequence: int
    messages: int
    bytes: int


class Report(msgspec.Struct, frozen=True):
    """What the shard's store has, for who begins a stream that the queue knows nothing of."""

    informer: str
    shard: int
    payload: bytes


class Demand(msgspec.Struct, frozen=True):
    """Answered with ``asked`` once it is kept: the leader must list the informer's streams, in a generation above
    ``generation``. ``boot``: one of which the shard can use nothing more, so that a new one must begin before; "" for
    none. ``behind``: the highest generation that a list had in the message that showed the lack; -1 = not known."""

    informer: str
    shard: int
    generation: int
    boot: str = ""
    token: int = 0
    behind: int = -1


class Met(msgspec.Struct, frozen=True):
    """The shard's demand of that revision is met."""

    informer: str
    shard: int
    revision: int


class Prove(msgspec.Struct, frozen=True):
    """Pass it on to all brokers; not kept."""

    informer: str
    payload: bytes


Want = Publish | Consume | Leave | Done | Report | Demand | Met | Prove | Resign
