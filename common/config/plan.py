"""What every role derives from the config in the same way: names, streams, shards, owners, endpoints."""

import hashlib
import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import msgspec

from deltawire.common.config.load import DEFAULT_CLUSTER, canonical, clause_of
from deltawire.common.config.schema import (
    Cluster,
    Config,
    HandlerProcess,
    Informer,
    NatsEngine,
    Scaling,
    Subscription,
)
from deltawire.common.errors import ConfigError
from deltawire.common.home import expanded
from deltawire.common.meta.clauses import Clause, union
from deltawire.common.meta.keys import rendezvous_rank
from deltawire.common.meta.units import parse_bytes, parse_duration_s, parse_hang_after_s
from deltawire.common.temporary import temporary_folder

ALL_NAMESPACES = "*"


@dataclass(frozen=True)
class InformerPlan:
    """One informer with its identity. ``name`` is ``<cluster>/<resource>``."""

    cluster: str
    resource: str
    options: Informer

    @property
    def name(self) -> str:
        return f"{self.cluster}/{self.resource}"

    @property
    def streams(self) -> list[str]:
        """The namespaces that are listed and watched one by one, or ["*"]."""
        return sorted(set(self.options.namespaces)) or [ALL_NAMESPACES]

    @property
    def max_bytes(self) -> int:
        return parse_bytes(self.options.max_bytes)

    @cached_property
    def scope_hash(self) -> str:
        """Changes when stored objects may no longer be what the streams would bring."""
        o = self.options
        return _digest(
            [self.resource, o.label_selector, o.field_selector, sorted(o.drop), o.metadata_only, o.secrets]
        )

    @cached_property
    def index_hash(self) -> str:
        return _digest(sorted(self.options.indexes.items()))


@dataclass(frozen=True)
class HandlerPlan:
    """One handler group with what it watches, by informer name."""

    options: HandlerProcess
    subscriptions: dict[str, Subscription]
    filters: dict[str, list[Clause]] = field(default_factory=dict)
    # Informers of which an object that leaves the filter is told as an update.
    leaving_as_update: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.options.name

    @property
    def replicas(self) -> int:
        """As many as there are from the start."""
        wanted = self.options.replicas
        return wanted.min if isinstance(wanted, Scaling) else wanted

    @property
    def scaling(self) -> Scaling | None:
        """By what their number changes, where it does."""
        return self.options.replicas if isinstance(self.options.replicas, Scaling) else None

    @property
    def informers(self) -> list[str]:
        """Those whose events it gets; a subscription without verbs only reads the cache."""
        return [name for name, subscription in self.subscriptions.items() if subscription.verbs]


@dataclass(frozen=True)
class Plan:
    """The config, resolved. Every role makes it from the same file and gets the same answers."""

    config: Config

    @cached_property
    def clusters(self) -> dict[str, Cluster]:
        return dict(self.config.clusters) or {DEFAULT_CLUSTER: Cluster()}

    @cached_property
    def first_cluster(self) -> str:
        return next(iter(self.clusters))

    @cached_property
    def informers(self) -> dict[str, InformerPlan]:
        """By name: those of the config, then those that handlers watch besides."""
        found: dict[str, InformerPlan] = {}
        for options in self.config.informers:
            informer = self._informer(options)
            found[informer.name] = informer
        for handler in self.config.handlers:
            for subscription in self._subscriptions(handler):
                self._add_wanted(found, handler.name, subscription)
        return found

    @cached_property
    def handlers(self) -> dict[str, HandlerPlan]:
        plans = {}
        for handler in self.config.handlers:
            by_informer: dict[str, Subscription] = {}
            clauses: dict[str, list[Clause]] = {}
            as_update = set()
            for subscription in self._subscriptions(handler):
                cluster = subscription.cluster or self.first_cluster
                informer = f"{cluster}/{canonical(subscription.resource)}"
                by_informer[informer] = _both(by_informer.get(informer), subscription)
                if subscription.verbs:
                    clauses.setdefault(informer, []).append(clause_of(handler.name, subscription))
                    if subscription.leaving == "update":
                        as_update.add(informer)
            filters = {informer: found for informer, each in clauses.items() if (found := union(each))}
            plans[handler.name] = HandlerPlan(handler, by_informer, filters, frozenset(as_update))
        return plans

    @property
    def shards(self) -> int:
        return self.config.store.shards

    @cached_property
    def store_dir(self) -> Path:
        return expanded(self.config.store.dir, where="store.dir").resolve()

    @cached_property
    def runtime_dir(self) -> Path:
        """The private folder of sockets: short, since a unix socket's path ends at 107 bytes."""
        if self.config.runtime.dir:
            # A link in its own place stays one, to be refused (`store.folder.make_private`).
            named = expanded(self.config.runtime.dir, where="runtime.dir")
            return named.parent.resolve() / named.name
        base = os.environ.get("XDG_RUNTIME_DIR") or temporary_folder()
        digest = hashlib.sha256(os.fsencode(self.store_dir)).hexdigest()[:12]
        return Path(base) / f"deltawire-{os.getuid()}-{digest}"

    @property
    def heartbeat_s(self) -> float:
        return parse_duration_s(self.config.runtime.heartbeat)

    @property
    def drain_deadline_s(self) -> float:
        return parse_duration_s(self.config.runtime.drain_deadline)

    @property
    def run(self) -> str:
        """The id of the run that this is the config of, "" for one without a supervisor."""
        return self.config.runtime.run

    @property
    def hang_after_s(self) -> float:
        """0: no silence of a main loop is too long."""
        return parse_hang_after_s(self.config.runtime.hang_after)

    @property
    def forget_after_s(self) -> float:
        return parse_duration_s(self.config.store.forget_after)

    def endpoint(self, socket: str) -> str:
        """The address of ``fifo-in``, ``fifo-out``, ``worker-<i>`` or ``control``."""
        address = self.config.network.endpoints.get(socket)
        return f"tcp://{address}" if address else f"ipc://{self.runtime_dir / socket}"

    @property
    def nats(self) -> NatsEngine | None:
        """The engine, where it is NATS."""
        engine = self.config.engine
        if isinstance(engine, str):
            return NatsEngine() if engine == "nats" else None
        return engine

    @property
    def keys_dir(self) -> str | None:
        """The folder of keys, where the config names one."""
        named = self.config.network.keys
        return str(expanded(named, where="network.keys").resolve()) if named else None

    def streams_of_reflector(self, index: int) -> list[tuple[str, str]]:
        """(informer, stream) pairs that reflector ``index`` owns.

        Streams are dealt by rendezvous, so that more reflectors move few of them; the deal is by rank within
        the sorted streams of all informers, so that two reflectors with two streams get one each.
        """
        streams = sorted((name, stream) for name, i in self.informers.items() for stream in i.streams)
        owners = deal([f"{name}@{stream}" for name, stream in streams], self.config.runtime.reflectors)
        return [pair for pair, owner in zip(streams, owners, strict=True) if owner == index]

    def shards_of_worker(self, index: int) -> list[tuple[str, int]]:
        """(informer, shard) pairs that worker ``index`` owns: rendezvous over the shards' numbers.

        All informers share the deal, so each worker owns the same shard numbers of each.
        """
        owned = [s for s, owner in enumerate(self.shard_owners) if owner == index]
        return [(name, shard) for name in self.informers for shard in owned]

    @cached_property
    def shard_owners(self) -> list[int]:
        """The worker of each shard number."""
        return deal([f"shard-{shard}" for shard in range(self.shards)], self.config.runtime.workers)

    def _informer(self, options: Informer) -> InformerPlan:
        return InformerPlan(options.cluster or self.first_cluster, canonical(options.resource), options)

    def clusters_of(self, handler: HandlerProcess) -> list[str]:
        """Those in which a handler watches what names none, in the config's order."""
        if not handler.clusters:
            return [self.first_cluster]
        return [name for name in self.clusters if any(fnmatchcase(name, p) for p in handler.clusters)]

    def _subscriptions(self, handler: HandlerProcess) -> list[Subscription]:
        """One for each cluster that is meant."""
        found = []
        for on in handler.on:
            wanted = Subscription(resource=on) if isinstance(on, str) else on
            clusters = [wanted.cluster] if wanted.cluster else self.clusters_of(handler)
            found += [msgspec.structs.replace(wanted, cluster=cluster) for cluster in clusters]
        return found

    def _add_wanted(self, found: dict[str, InformerPlan], handler: str, wanted: Subscription) -> None:
        informer = self._informer(Informer(resource=wanted.resource, cluster=wanted.cluster))
        if informer.resource == "secrets" and informer.name not in found:
            raise ConfigError(
                f"handler {handler!r} watches secrets, which puts their values into the cache",
                hint="add an informer on secrets that says secrets: keep, hash or drop",
            )
        known = found.setdefault(informer.name, informer)
        missing = {k: v for k, v in wanted.indexes.items() if k not in known.options.indexes}
        for index, path in wanted.indexes.items():
            if known.options.indexes.get(index, path) != path:
                raise ConfigError(
                    f"handler {handler!r} declares index {index!r} of {informer.resource} as {path}, "
                    f"but it is {known.options.indexes[index]} already"
                )
        if missing:
            options = msgspec.structs.replace(known.options, indexes={**known.options.indexes, **missing})
            found[informer.name] = InformerPlan(known.cluster, known.resource, options)


def _both(one: Subscription | None, other: Subscription) -> Subscription:
    """What a handler watches of one resource that it names twice."""
    if one is None:
        return other
    return msgspec.structs.replace(
        other,
        owner=one.owner or other.owner,
        verbs=list(dict.fromkeys([*one.verbs, *other.verbs])),
        indexes={**one.indexes, **other.indexes},
    )


def deal(items: list[str], owners: int) -> list[int]:
    """An owner 0 ≤ i < owners for each item: its rendezvous favourite that still has room.

    No owner gets more than an equal share, rounded up, or a tenth more where that is whole items: few items are spread
    evenly, and of many nearly none moves but those whose owner came or left. All parts of a pipeline compute
    the same owners, also those of the version before: never change it.
    """
    room = [max(-(-len(items) // owners), 11 * len(items) // (10 * owners))] * owners
    dealt = []
    for item in items:
        owner = max((o for o in range(owners) if room[o]), key=lambda o: rendezvous_rank(item, o))
        room[owner] -= 1
        dealt.append(owner)
    return dealt


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()[:16]
