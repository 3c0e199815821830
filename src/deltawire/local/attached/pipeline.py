"""A pipeline that runs, as programs read it: what its plan is, its caches, and whose key opens them."""

import threading
from collections.abc import Callable
from pathlib import Path

from deltawire.common.clock import Clock
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config, Store
from deltawire.common.errors import ConfigError, DeltawireError, StateError
from deltawire.common.wire.messages.group import Opened
from deltawire.handlers.caches import Caches
from deltawire.handlers.core import EFFECTIVE, CorePlan, address_plan, described
from deltawire.handlers.dispatch import Outcome
from deltawire.handlers.events import Delivery
from deltawire.handlers.freshness import UNKNOWN, Freshness
from deltawire.handlers.lister import Lister
from deltawire.handlers.reader import Reader
from deltawire.local.attached.events import Events
from deltawire.local.informer import InformerStateError


def plan_here(store: Path | str | None, config: Path | str | None) -> Plan:
    """The effective config of what runs on a state folder, or by a config. Raises StateError, ConfigError."""
    base = load(Path(config)) if config is not None else Config(version=1, store=Store(dir=str(store or ".deltawire")))
    named = Plan(base)
    try:
        return Plan(load(named.runtime_dir / EFFECTIVE))
    except DeltawireError:
        raise StateError(
            f"no pipeline runs on the state folder {named.store_dir}",
            hint="start it with `deltawire up`, or name a core on another host: attach(core=…, key=…)",
        ) from None


def plan_there(core: str, key: Path | str | None, clock: Clock) -> CorePlan:
    """What the core at HOST:PORT says of itself. Raises ConfigError, NoAnswer."""
    return described(address_plan(core, None if key is None else Path(key)), clock=clock)


class Pipeline:
    """``name``: the group that gets the events, "" for one that only reads. `open` connects, `close` ends it."""

    def __init__(self, plan: Plan, name: str, *, clock: Clock) -> None:
        """Raises ConfigError where the key is not one for that."""
        self.plan = plan
        self.name = name
        self._clock = clock
        self._owner = self._key_for(plan, name)
        self._lock = threading.Lock()
        self._reader: Reader | None = None
        self._caches: Caches | None = None
        self._users = 0

    def open(self) -> None:
        """For one informer; the first one connects."""
        with self._lock:
            self._users += 1
            if self._reader is None:
                self._reader = Reader(self.plan, self._owner, clock=self._clock)
                self._caches = Caches(self.plan, (), self._reader.queries, clock=self._clock)

    def close(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users or self._reader is None or self._caches is None:
                return
            reader, caches = self._reader, self._caches
            self._reader = self._caches = None
        caches.close()
        reader.close()

    def lister(self, cluster: str, resource: str) -> Lister:
        """Raises InformerStateError before the first informer was started, and after the last one was stopped."""
        caches = self._caches
        if caches is None:
            raise InformerStateError("no cache is read: call start() of the factory after the first informer()")
        return caches.lister(cluster, resource)

    def freshness(self, informer: str) -> Freshness:
        reader = self._reader
        return Freshness(why=f"{UNKNOWN}: it is not attached") if reader is None else reader.freshness.of(informer)

    def events(self, informer: str, deliver: Callable[[Delivery], Outcome], resync_s: float) -> Events:
        return Events(
            self.plan, self._owner, self.name, informer, deliver,
            opened=self._opened, resync_s=resync_s, clock=self._clock,
        )  # fmt: skip

    def _opened(self, place: Opened) -> None:
        caches = self._caches
        if caches is not None:
            caches.opened(place)

    @staticmethod
    def _key_for(plan: Plan, name: str) -> str:
        wanted = f"handler/{name}" if name else "cli"
        if not plan.keys_dir or not isinstance(plan, CorePlan):
            return wanted
        if name and plan.owner != wanted:
            raise ConfigError(
                f"the key is of {plan.owner}, and events are for {wanted}", hint="attach(key=…) with that one's"
            )
        return plan.owner
