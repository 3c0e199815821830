"""One object through every stage: API server, reflector, queue, cache, handlers."""

from typing import Any

from deltawire.cli.clients import new_client
from deltawire.cli.elsewhere import cache_elsewhere
from deltawire.cli.freshness import words
from deltawire.cli.requests import Supervision, from_workers
from deltawire.cli.stores import Cache, open_cache
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.cli.view.units import format_age
from deltawire.common.config.load import canonical
from deltawire.common.config.plan import ALL_NAMESPACES, Plan
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.common.meta.keys import display_key, key_of, shard_of, split_key
from deltawire.common.meta.resources import find
from deltawire.handlers.core import CorePlan


def parse_target(plan: Plan, text: str, namespace: str = "default") -> tuple[str, str]:
    """(informer, key) of ``TYPE/NAME`` or ``TYPE/NAMESPACE/NAME``. Raises ConfigError."""
    type_, _, rest = text.partition("/")
    if not type_ or not rest:
        raise ConfigError(f"{text!r} is not TYPE/NAME", hint="as in pods/web-1, or pods/default/web-1")
    resource = canonical(type_)
    informers = [name for name, i in plan.informers.items() if i.resource == resource]
    if not informers:
        known = ", ".join(plan.informers)
        hint = f"informers: {known}" if known else "name the config with -c, or the state folder with --store"
        raise ConfigError(f"no informer on {resource}", hint=hint)
    builtin = find(type_)
    if builtin is not None and not builtin.namespaced:
        return informers[0], key_of("", rest)
    space, sign, name = rest.partition("/")
    return informers[0], key_of(space, name) if sign else key_of(namespace, rest)


def trace(plan: Plan, status: Snapshot | str, informer: str, key: str, wall_s: float) -> list[str]:
    """A line for each stage, with the version it has and its age. ``status``: now, or why there is none."""
    lines = [f"{informer} {display_key(key)}, shard {shard_of(key, plan.shards)}, {words(status, informer)}"]
    lines.append(f"API server   {_served(plan, informer, key)}")
    stages = _running(plan, status, informer, key)
    lines += stages[:2]
    lines.append(f"cache        {_stored(plan, informer, key, wall_s)}")
    return lines + stages[2:]


def _served(plan: Plan, informer: str, key: str) -> str:
    from deltawire.client.discovery.discovery_client import DiscoveryClient

    found = plan.informers[informer]
    namespace, name = split_key(key)
    options = plan.clusters[found.cluster]
    if isinstance(plan, CorePlan) and not (options.kubeconfig or options.context):
        return "not asked from here (name its kubeconfig in a config, with -c)"
    try:
        client = new_client(plan, found.cluster)
        try:
            resource = DiscoveryClient(client).resolve(found.resource)
            metadata: dict[str, Any] = client.of(resource, namespace).get(name).into()["metadata"]
        finally:
            client.close()
    except DeltawireError as error:
        return str(error)
    return f"version {metadata.get('resourceVersion')}, uid {metadata.get('uid')}"


def _stored(plan: Plan, informer: str, key: str, wall_s: float) -> str:
    found = plan.informers[informer]
    try:
        if isinstance(plan, CorePlan):
            cache: Cache | None = cache_elsewhere(plan, informer)
        else:
            cache = open_cache(plan.store_dir, found.cluster, found.resource, plan.shards)
        if cache is None:
            return "nothing of this resource is stored"
        with cache:
            row = cache.get(key)
    except DeltawireError as error:
        return str(error)
    if row is None:
        return "not in the cache"
    return (
        f"version {row.version}, uid {row.uid}, change {row.seq}, "
        f"read from the API server {format_age(wall_s - row.at / 1e6)} ago"
    )


def _running(plan: Plan, status: Snapshot | str, informer: str, key: str) -> list[str]:
    """The lines of the stages that only running processes know: stream, queue, then the groups."""
    if isinstance(status, str):
        return [f"reflector    {status}", f"queue        {status}", f"handlers     {status}"]
    queue = status.informers.get(informer)
    depth = "an unknown number of" if queue is None or queue.depth is None else queue.depth
    lines = [
        f"reflector    {_stream(status, informer, key)}",
        f"queue        {depth} changes wait before the cache",
    ]
    try:
        with Supervision(plan) as supervision:
            answers = from_workers(supervision.ask("key", {"informer": informer, "key": key}))
    except DeltawireError as error:
        return [*lines, f"handlers     unknown: {error}"]
    if not answers:
        return [*lines, "handlers     unknown: no worker runs"]
    places = [(group, place) for answer in answers.values() for group, place in sorted(answer.items())]
    if not places:
        return [*lines, "handlers     none has a call, a retry or a dead letter of it"]
    return [*lines, *(f"handler      {group}: {_place(place)}" for group, place in places)]


def _stream(snapshot: Snapshot, informer: str, key: str) -> str:
    namespace, _ = split_key(key)
    for stream in (namespace, ALL_NAMESPACES):
        status = snapshot.streams.get(f"{informer}@{stream}")
        if status is not None:
            heard = (
                "" if status.progress_s_ago is None else f", heard {format_age(status.progress_s_ago)} ago"
            )
            error = f", {status.error}" if status.error else ""
            return f"{status.reflector} {status.state} at version {status.version or '-'}{heard}{error}"
    return "no stream covers its namespace"


def _place(place: dict[str, Any]) -> str:
    words = [str(place.get("state", "unknown"))]
    for field in ("version", "seq", "position", "attempts", "error"):
        if place.get(field) not in (None, "", 0):
            words.append(f"{field} {str(place[field]).partition(chr(10))[0]}")
    return ", ".join(words)
