"""What brokers of a queue on NATS say of it to whoever asks over all hosts (`deltawire status`, `shards list`)."""

from collections.abc import Collection

import msgspec

from deltawire.jetstream.connection import Connection
from deltawire.jetstream.moves import WHO_S, gather
from deltawire.jetstream.settings import NatsSettings


class QueueState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An informer at one broker. ``depth``: changes that wait there, by shard; ``leads``: it fills the informer's
    stream; ``stuck``: why its queue stands still, "" if it does not."""

    depth: list[int] = []
    leads: bool = False
    stuck: str = ""


class BrokerState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``name``: among brokers, new in each life; ``host``: of its state folder, "" where it has none; ``node``: of its
    machine. ``age_s``, ``silent_s``, ``is_cut``: as of `WorkerState`."""

    name: str
    host: str = ""
    node: str = ""
    age_s: float = 0.0
    silent_s: float = 0.0
    is_cut: bool = False
    queues: dict[str, QueueState] = {}


encode = msgspec.json.encode
_decode = msgspec.json.Decoder(BrokerState).decode


def brokers_subject(settings: NatsSettings) -> str:
    return settings.subject("brokers")


async def brokers_there(connection: Connection, hosts: Collection[str] = ()) -> list[BrokerState]:
    """All brokers that answer; those of ``hosts`` are waited for. Waits for a connection."""
    found = await gather(
        connection,
        brokers_subject(connection.settings),
        _decode,
        lambda state: state.name,
        within_s=WHO_S,
        is_enough=lambda found: set(hosts) <= {state.host for state in found.values()},
    )
    return sorted(found.values(), key=lambda state: (state.host, state.name))
