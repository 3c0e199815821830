"""The config files of the core and of the handlers' pods, made of one config."""

import dataclasses
from typing import Any

import msgspec

from deltawire.cli.manifest import shape as places
from deltawire.cli.manifest.files import file_and_name
from deltawire.cli.manifest.shape import Shape
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config, HandlerProcess, Metrics, Network, Runtime, Store


def core(plan: Plan, shape: Shape) -> Any:
    """What the core reads: its handlers run elsewhere, and only say what they watch."""
    config = plan.config
    handlers = [
        msgspec.structs.replace(
            handler, run=None, command=[], env={}, replicas=0, on=_subscriptions(plan, handler)
        )
        for handler in config.handlers
    ]
    runtime = msgspec.structs.replace(config.runtime, dir=places.RUN_DIR, control=False, health=None)
    return plain(
        msgspec.structs.replace(
            config,
            clusters=_clusters(config),
            kubeconfigs=None,
            store=msgspec.structs.replace(config.store, dir=places.STATE_DIR),
            runtime=runtime,
            network=Network(
                endpoints=_endpoints(config.runtime, "127.0.0.1"),
                listen=places.ALL_ADDRESSES,
                keys=places.KEYS_DIR,
            ),
            metrics=Metrics(listen=f"{places.ALL_ADDRESSES}:{places.METRICS_PORT}", public=True),
            handlers=handlers,
        )
    )


def handler(plan: Plan, shape: Shape, name: str) -> Any:
    """What the pods of a handler read."""
    config = plan.config
    options = plan.handlers[name].options
    if name in shape.code and options.run:
        file, _ = shape.code[name]
        _, attribute = file_and_name(options.run)
        there = f"{places.CODE_DIR}/{file}"
        options = msgspec.structs.replace(options, run=f"{there}:{attribute}" if attribute else there)
    return plain(
        Config(
            version=1,
            clusters=_clusters(config),
            store=Store(dir=f"{places.RUN_MOUNT}/no-state", shards=config.store.shards),
            runtime=msgspec.structs.replace(
                config.runtime, dir=places.RUN_DIR, control=True, health=places.HEALTH_FILE
            ),
            network=Network(endpoints=_endpoints(config.runtime, shape.host), keys=places.KEYS_DIR),
            informers=config.informers,
            handlers=[msgspec.structs.replace(options, replicas=1)],
            resources=config.resources,
        )
    )


def plain(value: Any) -> Any:
    """A config as plain data, without what is the default anyway."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(type(value))
        tagged = value.__struct_config__
        kind = {tagged.tag_field: tagged.tag} if tagged.tag_field else {}
        return kind | {
            field.encode_name: plain(found)
            for field in fields
            if (found := getattr(value, field.name)) != _default(field)
        }
    if dataclasses.is_dataclass(value):  # a custom resource
        return plain(msgspec.to_builtins(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else msgspec.NODEFAULT


def _subscriptions(plan: Plan, handler: HandlerProcess) -> list[Any]:
    """What a handler watches, by resource: the code that says so is not in the core's image."""
    watched = plan.handlers[handler.name].informers
    return list(handler.on) or [plan.informers[name].resource for name in watched]


def _clusters(config: Config) -> dict[str, Any]:
    """In a cluster a pod talks to its own with its service account."""
    return {name: type(cluster)() for name, cluster in config.clusters.items()}


def _endpoints(runtime: Runtime, host: str) -> dict[str, str]:
    workers = {f"worker-{i}": f"{host}:{places.FIRST_WORKER_PORT + i}" for i in range(runtime.workers)}
    return {"control": f"{host}:{places.CONTROL_PORT}", **workers}
