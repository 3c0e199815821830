"""Which cache a command means, and how fresh it is."""

import fcntl
from dataclasses import dataclass
from pathlib import Path

from deltawire.cli.elsewhere import cache_elsewhere
from deltawire.cli.stores import Cache, cached_resources, clusters_of, open_cache, shards_of
from deltawire.cli.view.text import plural
from deltawire.common.clock import SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError, StateError
from deltawire.common.meta.keys import display_key
from deltawire.common.meta.resources import ResourceType, find, parse_query
from deltawire.common.store.reader import ReaderUnavailable
from deltawire.handlers.core import CorePlan, described

LOCK_FILE = "supervisor.lock"


@dataclass(frozen=True, slots=True)
class Found:
    """An open cache and what it holds."""

    cluster: str
    resource: ResourceType
    cache: Cache
    informer: str


def find_cache(plan: Plan, text: str, cluster: str | None = None) -> Found:
    """The cache of the resource that ``text`` names by kubectl's grammar. Raises StateError, ConfigError.

    Where its files cannot be read from here, the workers are asked.
    """
    if isinstance(plan, CorePlan):
        return _elsewhere(plan, text, cluster)
    shards = shards_of(plan.store_dir)
    if not shards:
        raise StateError(
            f"{plan.store_dir} is not a state folder of deltawire",
            hint="name it with --store, or run `deltawire up`",
        )
    chosen = _cluster(plan, cluster, list(clusters_of(plan.store_dir)))
    cached = cached_resources(plan.store_dir, chosen)
    name = _match(text, cached)
    try:
        cache = open_cache(plan.store_dir, chosen, name, shards) if name else None
    except ReaderUnavailable:
        # Processes of another pid namespace have it open: those of ours may not map it.
        if not is_running(plan.store_dir):
            raise
        return _elsewhere(described(plan, clock=SystemClock()), text, cluster)
    if cache is None:
        raise _not_cached(text, chosen, cached)
    return Found(chosen, _type(name), cache, f"{chosen}/{name}")


def _elsewhere(plan: CorePlan, text: str, cluster: str | None) -> Found:
    chosen = _cluster(plan, cluster, sorted({one.cluster for one in plan.informers.values()}))
    cached = sorted(one.resource for one in plan.informers.values() if one.cluster == chosen)
    name = _match(text, cached)
    if not name:
        raise _not_cached(text, chosen, cached)
    return Found(chosen, _type(name), cache_elsewhere(plan, f"{chosen}/{name}"), f"{chosen}/{name}")


def _not_cached(text: str, cluster: str, cached: list[str]) -> StateError:
    known = ", ".join(cached) or "nothing yet"
    return StateError(
        f"{text!r} is not cached in cluster {cluster!r}; cached: {known}",
        hint="add an informer, or a handler that watches it",
    )


def is_running(store_dir: Path) -> bool:
    """True if a supervisor holds the state folder."""
    try:
        with (store_dir / LOCK_FILE).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def cache_line(found: Found, freshness: str) -> str:
    """``cache of dev/pods: 212 objects, as of 14:02:11, fresh``; ``freshness``: `freshness.words`."""
    return f"cache of {found.informer}: {plural(found.cache.count(), 'object')}, {freshness}"


def key_words(resource: ResourceType, key: str) -> str:
    """``pods default/web``."""
    return f"{resource.name} {display_key(key)}"


def _cluster(plan: Plan, wanted: str | None, known: list[str]) -> str:
    if wanted is not None:
        if wanted not in known:
            raise ConfigError(
                f"nothing of a cluster {wanted!r} is cached (clusters: {', '.join(known) or 'none'})",
                path="--cluster",
            )
        return wanted
    return plan.first_cluster if plan.first_cluster in known or not known else next(iter(known))


def _match(text: str, cached: list[str]) -> str:
    """The cached resource's name that ``text`` means, "" if none."""
    builtin = find(text)
    if builtin is not None and builtin.name in cached:
        return builtin.name
    for query in parse_query(text):
        for name in cached:
            plural, _, group = name.partition(".")
            if query.word in (plural, plural.removesuffix("s")) and query.group in ("", group):
                return name
    return ""


def _type(name: str) -> ResourceType:
    """The type of a cached resource. Of one that is not built in, the objects themselves say their kind."""
    builtin = find(name)
    if builtin is not None:
        return builtin
    plural, _, group = name.partition(".")
    singular = plural.removesuffix("s")
    return ResourceType(group, "", plural, "", True, singular)
