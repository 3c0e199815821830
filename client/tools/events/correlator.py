"""Combines events that repeat and holds back floods. Pure: events and instants in.

1. Ten different messages about one thing within ten minutes become one event "(combined from …)".
2. An event that was seen before is counted and not made again.
3. One source may make 25 events about one object, then one each five minutes.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from deltawire.client.tools.events.event import Event

MESSAGES_MAX = 10
SIMILAR_WITHIN_S = 600.0
SPAM_BURST = 25
SPAM_REFILL_S = 300.0
KEYS_MAX = 4096  # remembered by each of the three, the least recently used go first
COMBINED = "(combined from similar events): "

V = TypeVar("V")


@dataclass(slots=True)
class _Similar:
    last_at_s: float
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at_s: float


@dataclass(frozen=True, slots=True)
class _Written:
    """What we know of an event that was made before."""

    name: str
    count: int
    first_at_s: float
    resource_version: str


@dataclass(frozen=True, slots=True)
class Correlated:
    """The event to write: a create for ``count`` 1, else a patch. ``key`` is for `EventCorrelator.written`."""

    event: Event
    key: Hashable


class EventCorrelator:
    """Not safe to use from many threads: each sink has its own. ``filtered`` counts what was held back."""

    def __init__(self) -> None:
        self._similar: _Recent[_Similar] = _Recent(KEYS_MAX)
        self._seen: _Recent[_Written] = _Recent(KEYS_MAX)
        self._buckets: _Recent[_Bucket] = _Recent(KEYS_MAX)
        self.filtered = 0

    def correlate(self, event: Event) -> Correlated | None:
        """What to write for ``event``, which happened at its ``last_at_s``; None for nothing."""
        event, key = self._combined(event)
        before = self._seen.get(key)
        if before is not None:
            event = replace(
                event,
                name=before.name,
                count=before.count + 1,
                first_at_s=before.first_at_s,
                resource_version=before.resource_version,
            )
        self._seen.put(key, _Written(event.name, event.count, event.first_at_s, event.resource_version))
        if not self._is_allowed(event):
            self.filtered += 1
            return None
        return Correlated(event, key)

    def written(self, correlated: Correlated, name: str, resource_version: str) -> None:
        """The server has it under ``name`` at this version."""
        event = correlated.event
        self._seen.put(correlated.key, _Written(name, event.count, event.first_at_s, resource_version))

    def _combined(self, event: Event) -> tuple[Event, Hashable]:
        about = replace(event.reference, resource_version="", field_path="")
        group = (event.source, about, event.type, event.reason)
        now_s = event.last_at_s
        similar = self._similar.get(group)
        if similar is None or now_s - similar.last_at_s > SIMILAR_WITHIN_S:
            similar = _Similar(now_s)
        similar.last_at_s = now_s
        similar.messages.add(event.message)
        self._similar.put(group, similar)
        if len(similar.messages) < MESSAGES_MAX:
            return event, (*group, event.reference.field_path, event.message)
        similar.messages.pop()  # any: the next one that differs is combined as well
        return replace(event, message=COMBINED + event.message), group

    def _is_allowed(self, event: Event) -> bool:
        about = replace(event.reference, resource_version="", field_path="")
        key = (event.source, about, event.type)
        now_s = event.last_at_s
        bucket = self._buckets.get(key) or _Bucket(SPAM_BURST, now_s)
        grown = max(0.0, now_s - bucket.filled_at_s) / SPAM_REFILL_S
        tokens = min(float(SPAM_BURST), bucket.tokens + grown)
        is_allowed = tokens >= 1
        self._buckets.put(key, _Bucket(tokens - 1 if is_allowed else tokens, now_s))
        return is_allowed


class _Recent(Generic[V]):
    """The ``count_max`` most recently used values."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable) -> V | None:
        found = self._values.get(key)
        if found is not None:
            self._values.move_to_end(key)
        return found

    def put(self, key: Hashable, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._count_max:
            self._values.popitem(last=False)
