"""What a worker says of its informers and groups to whoever asks over all hosts (`deltawire status`, `shards list`).

Hosts' clocks differ, so there is no instant in it: ages and durations, each measured by the host that says it.
"""

from typing import Any, TypeVar

import msgspec

# One answer, in JSON. It takes about 100 bytes an informer, and as much a group and informer.
STATE_BYTES_MAX = 256 * 1024


class InformerState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker's part of an informer. ``why`` it is not synced, "" if it is. ``fresh``: and the API server was heard in
    time, by that host's clock. ``behind_s``: how old what is complete is, by that host's clock; ``still_s``: for how
    long it has not come any further; None: nothing was proven yet. ``lag_ms``: of the last batch, from the reflector's
    read to the commit."""

    why: str = ""
    fresh: bool = False
    behind_s: float | None = None
    still_s: float | None = None
    lag_ms: float = 0.0

    @property
    def synced(self) -> bool:
        return not self.why


class GroupState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group at one worker, of one informer. ``pending``: stored and not acknowledged. ``behind_s``: how old what it
    has handled all of is, by that host's clock; None: nothing was proven yet. ``replicas``: names of those that the
    worker has a session with."""

    synced: bool = False
    behind_s: float | None = None
    pending: int = 0
    replicas: list[str] = []


class WorkerState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``age_s``: how long ago the worker's loop made it; from ``silent_s`` on the loop counts as not heard.
    ``is_cut``: it was larger than `STATE_BYTES_MAX`, and is left out. ``groups``: name → informer."""

    age_s: float = 0.0
    silent_s: float = 0.0
    is_cut: bool = False
    informers: dict[str, InformerState] = {}
    groups: dict[str, dict[str, GroupState]] = {}


S = TypeVar("S", bound=msgspec.Struct)


def bounded(state: S) -> S:
    """A state of a worker or a broker, without its dictionaries where it takes more than `STATE_BYTES_MAX`; then it
    says so (``is_cut``)."""
    if len(msgspec.json.encode(state)) <= STATE_BYTES_MAX:
        return state
    large: dict[str, Any] = {name: {} for name in state.__struct_fields__ if isinstance(getattr(state, name), dict)}
    return msgspec.structs.replace(state, is_cut=True, **large)
