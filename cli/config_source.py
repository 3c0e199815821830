"""Where a command's config comes from: ``-c``, ``./deltawire.yaml``, what runs, plug-in files, or the demo."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

import deltawire
from deltawire.cli import resource_names
from deltawire.cli.plugins import Target, complete, describe
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import (
    Cluster,
    Config,
    HandlerProcess,
    Informer,
    Metrics,
    Runtime,
    Store,
    Subscription,
)
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.common.home import expanded
from deltawire.common.meta.resources import find, learn
from deltawire.handlers.core import EFFECTIVE as EFFECTIVE
from deltawire.handlers.installed import installed

DEFAULT_FILE = Path("deltawire.yaml")
EMBEDDED = "embedded"
_DEMO_FILES = ("printer.py", "pods_per_node.py")


def read(path: Path | None, *, is_strict: bool = True) -> Config | None:
    """The config of ``-c``, else of ./deltawire.yaml, else None. Raises ConfigError."""
    if path is not None:
        return load(path, is_strict=is_strict)
    return load(DEFAULT_FILE, is_strict=is_strict) if DEFAULT_FILE.exists() else None


def required(path: Path | None) -> Config:
    """As `read`, for commands that cannot do without. Raises ConfigError."""
    config = read(path)
    if config is None:
        raise ConfigError(f"there is no {DEFAULT_FILE} here", hint="name a config with -c")
    return config


def named_plan(path: Path | None, store: Path | None = None) -> Plan:
    """The plan of the user's own config, whatever runs. Without a config file the state folder is as for `plan_of`."""
    return Plan(with_options(read(path, is_strict=False) or Config(version=1), store=store))


def plan_of(path: Path | None, store: Path | None = None) -> Plan:
    """The plan that a question is about: the effective config of what runs on the state folder, if it is there.

    Without a config file the state folder is ``store``, else ``.deltawire``.
    """
    plan = named_plan(path, store)
    effective = plan.runtime_dir / EFFECTIVE
    try:
        return Plan(load(effective))
    except DeltawireError:
        # Nothing runs, or something of another version did: there are the user's own words, and what was learnt.
        learn(list(dict.fromkeys([*plan.config.resources, *resource_names.known(plan)])))
        return plan


def with_options(
    config: Config, *, store: Path | None = None, metrics: str | None = None, context: str | None = None
) -> Config:
    """The config with what the command line says instead."""
    replace = msgspec.structs.replace
    if store is not None:
        config = replace(config, store=replace(config.store, dir=str(store)))
    if metrics is not None:
        config = replace(config, metrics=Metrics(listen=metrics))
    if context is not None:
        name, first = next(iter(Plan(config).clusters.items()))
        config = replace(config, clusters={**config.clusters, name: replace(first, context=context)})
    return config


def with_run(config: Config, run: str) -> Config:
    """The config of one run of the supervisor."""
    return msgspec.structs.replace(config, runtime=msgspec.structs.replace(config.runtime, run=run))


def with_embedded(config: Config) -> Config:
    """The config with the embedded API server as its first cluster; its kubeconfig lies in the runtime folder."""
    kubeconfig = Plan(config).runtime_dir / "embedded.kubeconfig"
    others = {name: cluster for name, cluster in config.clusters.items() if name != EMBEDDED}
    clusters = {EMBEDDED: Cluster(kubeconfig=str(kubeconfig)), **others}
    return msgspec.structs.replace(config, clusters=clusters)


def demo() -> Config:
    """Two reflectors, two workers, the example handlers: of the checkout, else the one that is installed."""
    examples = Path(deltawire.__file__).resolve().parents[2] / "examples"
    files = [examples / name for name in _DEMO_FILES]
    handlers = [
        HandlerProcess(name=file.stem.replace("_", "-"), run=str(file)) for file in files if file.exists()
    ]
    if not handlers:
        handlers = [HandlerProcess(name="printer", run="deltawire.cli.demo")]
    return Config(
        version=1,
        runtime=Runtime(reflectors=2, workers=2),
        informers=[Informer(resource="pods"), Informer(resource="deployments.apps")],
        handlers=handlers,
    )


def of_plugins(files: Sequence[Path], *, namespace: str | None = None, context: str | None = None) -> Config:
    """The config that plug-in files alone make: a group for each handler in them. Raises PluginError, ConfigError."""
    targets = [_target(file) for file in files]
    described = describe([Target(target) for target in targets])
    handlers = [
        HandlerProcess(name=_group_name(found.name), run=target, on=list(found.on), writes=list(found.writes))
        for target in targets
        for found in described[Target(target)]
    ]
    names = [handler.name for handler in handlers]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ConfigError(f"two handlers are named {double!r}", hint="a handler's name is its group")
    resources = dict.fromkeys(
        on.resource for handler in handlers for on in handler.on if isinstance(on, Subscription)
    )
    return Config(
        version=1,
        clusters={"default": Cluster(context=context)} if context else {},
        store=Store(),
        informers=[
            Informer(resource=r, namespaces=[namespace] if namespace and _is_namespaced(r) else [])
            for r in resources
            if r != "secrets"
        ],
        handlers=handlers,
    )


def effective(config: Config, resolve: Callable[[Config], Config] | None = None) -> Config:
    """What the roles read: absolute paths, every informer written out, each handler with what it watches.

    ``resolve`` finds out what custom resources are called (resource_names.with_resources), where that can be done.
    """
    replace = msgspec.structs.replace
    config = complete(replace(config, handlers=[_absolute(h) for h in config.handlers]))
    if resolve is not None:
        config = resolve(config)
    plan = Plan(config)
    return replace(
        config,
        clusters={name: _absolute_cluster(cluster) for name, cluster in plan.clusters.items()},
        kubeconfigs=None,
        store=replace(config.store, dir=str(plan.store_dir)),
        runtime=replace(config.runtime, dir=str(plan.runtime_dir), control=True, health=None),
        network=replace(config.network, keys=plan.keys_dir),
        informers=[
            replace(informer.options, resource=informer.resource, cluster=informer.cluster)
            for informer in plan.informers.values()
        ],
    )


def _absolute(handler: HandlerProcess) -> HandlerProcess:
    if handler.run is None or not (handler.run.endswith(".py") or "/" in handler.run):
        return handler
    return msgspec.structs.replace(handler, run=str(expanded(handler.run).resolve()))


def _absolute_cluster(cluster: Cluster) -> Cluster:
    if cluster.kubeconfig is None:
        return cluster
    return msgspec.structs.replace(cluster, kubeconfig=str(expanded(cluster.kubeconfig).resolve()))


def _target(file: Path) -> str:
    """The file's whole path, or the name of a handler that an installed package brings along."""
    if file.exists():
        return str(file.resolve())
    if str(file) in installed():
        return str(file)
    raise ConfigError(f"there is no file {file}", hint="deltawire handlers installed lists those of packages")


def _is_namespaced(resource: str) -> bool:
    known = find(resource)
    return known is None or known.namespaced


def _group_name(name: str) -> str:
    """A handler's name as a config would have to write it."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "handler"
