"""The status of an informer in this process: its state, and the age of its cache."""

from dataclasses import dataclass, replace
from typing import Any

from deltawire.common.clock import Clock
from deltawire.handlers.freshness import UNKNOWN, Freshness, freshness_of
from deltawire.local.listener import HandlerStatus
from deltawire.local.reflector import QueueReflector


@dataclass(frozen=True, slots=True)
class InformerStatus:
    """``state`` is the reflector's (docs/status.md), or ``new`` or ``stopped``. ``error``: why it does not go on, or
    the last object that was refused. ``progress_at_s``: when the server last sent anything, seconds since 1970."""

    name: str
    state: str
    is_synced: bool
    error: str
    version: str
    objects: int
    refused: int
    lists: int
    watches: int
    retries: int
    progress_at_s: float | None
    handlers: tuple[HandlerStatus, ...]


def freshness(reflector: QueueReflector[Any] | None, *, is_synced: bool, clock: Clock) -> Freshness:
    """``reflector`` None: it was not started. Not fresh while nothing is watched,
    and until something is proven that is newer."""
    if reflector is None:
        return Freshness(why=f"{UNKNOWN}: the informer was not started")
    if reflector.is_closed:
        return Freshness(why=f"{UNKNOWN}: the informer has stopped")
    proof, machine = reflector.proof, reflector.machine
    error = f": {machine.error}" if machine.error else ""
    if not is_synced:
        return Freshness(why=f"{UNKNOWN}: it was not listed yet{error}")
    if proof is None:
        return Freshness(why=f"{UNKNOWN}: the API server has not yet said up to when it is complete{error}")
    found = freshness_of(proof, int(clock.wall_s() * 1e6))
    if not reflector.is_watching:
        return replace(found, is_fresh=False, why=f"it is not watched ({machine.state.value}{error})")
    if not reflector.is_proven_since_trouble:
        why = "it is watched again, and the API server has not yet said that nothing was missed"
        return replace(found, is_fresh=False, why=why)
    return found
