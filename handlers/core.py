"""A core on another host: how to reach it with an address and a key, and what it says of itself.

``describe`` (docs/wire.md §8) is asked at `control`. From the answer a program has all that it needs to read caches
and to be a handler: it has no config of the pipeline.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.config.load import check
from deltawire.common.config.network import check_network
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Cluster, Config, Network, Runtime, Store
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.common.home import expanded
from deltawire.common.meta.resources import learn
from deltawire.common.temporary import temporary_folder
from deltawire.common.wire.keys import KeyFolder, parse_owner
from deltawire.handlers.asking import Asking, NoAnswer, silence_hint

DESCRIBE = "describe"
# What runs writes its effective config here, in its runtime folder.
EFFECTIVE = "config.json"
_ENDING = ".secret"
_ADDRESS = re.compile(r".+:[0-9]{1,5}")


@dataclass(frozen=True)
class CorePlan(Plan):
    """The plan of a core that is elsewhere: its caches cannot be mapped.

    ``owner``: whose key this process uses. ``namespaces``: of each cluster's context, there.
    """

    owner: str = "cli"
    namespaces: Mapping[str, str] = field(default_factory=dict)


class Description(msgspec.Struct, frozen=True):
    """The answer to ``describe``: the config as far as others need it, and the namespace of each cluster's context."""

    config: dict[str, Any]
    namespaces: dict[str, str] = {}


def describe(plan: Plan, namespaces: Mapping[str, str]) -> dict[str, Any]:
    """What a pipeline says of itself: no files, no environment of handlers. Defaults are left out."""
    config, replace = plan.config, msgspec.structs.replace
    told = Config(
        version=1,
        clusters={name: Cluster() for name in plan.clusters},
        store=Store(shards=config.store.shards),
        runtime=Runtime(
            reflectors=config.runtime.reflectors, workers=config.runtime.workers, heartbeat=config.runtime.heartbeat
        ),
        network=Network(endpoints=config.network.endpoints),
        informers=[
            replace(one.options, resource=one.resource, cluster=one.cluster) for one in plan.informers.values()
        ],
        handlers=[replace(one, env={}) for one in config.handlers],
        resources=config.resources,
    )
    return {"config": {"version": 1, **_spare(told)}, "namespaces": dict(namespaces)}


def address_plan(core: str, key: Path | None, clusters: Mapping[str, Cluster] | None = None) -> CorePlan:
    """How to ask the core at ``core`` (HOST:PORT of its `control`) what it is. Raises ConfigError.

    ``key``: ``<owner>.secret``; the list ``allowed`` is beside it. ``clusters``: how they are reached from here.
    """
    if not _ADDRESS.fullmatch(core):
        raise ConfigError(f"{core!r} is not HOST:PORT", path="--core", hint="core.example:7400")
    folder, owner = (None, "cli") if key is None else _key(key)
    network = Network(endpoints={"control": core}, keys=folder)
    config = Config(version=1, clusters=dict(clusters or {}), network=network)
    try:
        check_network(config)
    except ConfigError:
        if key is not None:
            raise ConfigError(f"{core!r} is not HOST:PORT", path="--core", hint="core.example:7400") from None
        text = f"{core} is on another host, and no key is named"
        raise ConfigError(text, path="--core", hint="name yours with --key FILE") from None
    return CorePlan(config, owner=owner)


def described(plan: Plan, *, clock: Clock, owner: str = "") -> CorePlan:
    """What the core, whose `control` the plan names, is. Raises ConfigError, NoAnswer, DeltawireError.

    This process knows its custom resources then. ``owner``: whose key is used, where the plan does not say.
    """
    owner = owner or (plan.owner if isinstance(plan, CorePlan) else "cli")
    core = plan.endpoint("control")
    asking = Asking(plan, owner, clock=clock)
    try:
        if not asking.open():
            raise NoAnswer(f"nobody answers at {core.partition('://')[2]}", hint=silence_hint(plan))
        answer = asking.ask(DESCRIBE)
    finally:
        asking.close()
    try:
        told = msgspec.convert(answer, Description)
        config = msgspec.convert(told.config, Config)
    except msgspec.ValidationError as error:
        raise DeltawireError(f"the core at {core} is of another version: {error}") from None
    clusters = {name: plan.config.clusters.get(name, Cluster()) for name in config.clusters}
    network = plan.config.network
    asked, meant = network.endpoints.get("control", ""), config.network.endpoints
    endpoints = {**reached(meant, asked), "control": asked} if asked else meant
    config = msgspec.structs.replace(
        config,
        # How each is reached is known here, or not at all.
        clusters=clusters,
        network=Network(endpoints=endpoints, keys=network.keys),
        # Sockets that are files lie where the plan says.
        runtime=msgspec.structs.replace(config.runtime, dir=plan.config.runtime.dir),
        store=msgspec.structs.replace(config.store, dir=_store_dir(plan)),
    )
    learn(config.resources)
    check(config)
    return CorePlan(config, owner=owner, namespaces=told.namespaces)


def _store_dir(plan: Plan) -> str:
    """Where the caches' files would be, for one of which only the address is known: in no folder that is there."""
    if not isinstance(plan, CorePlan):
        return plan.config.store.dir
    return str(Path(temporary_folder()) / f"deltawire-elsewhere-{os.getuid()}")


def reached(endpoints: Mapping[str, str], core: str) -> dict[str, str]:
    """The core's addresses as they are reached from here: what is on the host of its `control` is on that of ``core``.

    So one address is enough through a forwarded port, or where the core has another name.
    """
    known, here = (address.rpartition(":")[0] for address in (endpoints.get("control", ""), core))
    found = {}
    for socket, address in endpoints.items():
        host, _, port = address.rpartition(":")
        found[socket] = f"{here}:{port}" if host == known else address
    return found


def _key(path: Path) -> tuple[str, str]:
    """(folder, owner) of a secret's file. Raises ConfigError where it is none, or not usable."""
    whole = expanded(str(path), where="--key").resolve()
    if not whole.name.endswith(_ENDING):
        raise ConfigError(f"{path} is not a secret", path="--key", hint="a file such as reader.ann.secret")
    try:
        owner = parse_owner(whole.name.removesuffix(_ENDING).replace(".", "/", 1))
    except ConfigError:
        if whole.exists():
            raise
        hint = "copy the secret from the core's folder of keys"
        raise ConfigError(f"there is no file {path}", path="--key", hint=hint) from None
    folder = KeyFolder(whole.parent)
    folder.secret(owner)
    if not folder.allowed():
        raise ConfigError(
            f"there is no list of keys beside {path}", path="--key", hint=f"copy the core's `allowed` to {whole.parent}"
        )
    return str(whole.parent), owner


def _spare(struct: msgspec.Struct) -> dict[str, Any]:
    """A struct as a map of what is not the default: an older program knows nothing of fields that are not used."""
    found = {}
    for one in msgspec.structs.fields(struct):
        value = getattr(struct, one.name)
        default = one.default if one.default_factory is msgspec.NODEFAULT else one.default_factory()
        if value != default:
            found[one.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _spare(value)
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return msgspec.to_builtins(value)
