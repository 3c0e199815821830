"""Reads a config file and checks it. Every complaint names the file and the field's path."""

import fnmatch
from pathlib import Path
from typing import Any

import msgspec

from deltawire.common.config.complaints import explain
from deltawire.common.config.kubeconfigs import with_kubeconfigs
from deltawire.common.config.network import check_network
from deltawire.common.config.schema import Config, HandlerProcess, Informer, Scaling, Subscription
from deltawire.common.errors import ConfigError
from deltawire.common.meta.clauses import Clause, make_clause
from deltawire.common.meta.jsonpath import Path as FieldPath
from deltawire.common.meta.resources import find, learn
from deltawire.common.meta.units import parse_bytes, parse_duration_s, parse_hang_after_s

CONFIG_BYTES_MAX = 1024 * 1024
# The cluster of a config that names none.
DEFAULT_CLUSTER = "default"


def load(path: Path, *, is_strict: bool = True) -> Config:
    """The config in a YAML (or JSON) file. Raises ConfigError.

    Without ``is_strict``, for questions about what runs, files of `kubeconfigs` that can be no cluster are left out.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{path} is larger than {CONFIG_BYTES_MAX} bytes")
    dumped = _as_dumped(data)
    if dumped is not None:
        return dumped
    # Imported when needed: a role that is started by `up` reads no YAML.
    from deltawire.common.config.yaml_text import read

    raw = read(data, path)
    try:
        return parse(raw, is_strict=is_strict)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", hint=error.hint) from None


def _as_dumped(data: bytes) -> Config | None:
    """The config as `dump` writes it; None for anything else, and for what is wrong, which is explained elsewhere.

    Each role reads it at its start: PyYAML would take 140 ms and 4 MiB for a hundred handlers, this takes 1 ms.
    """
    if not data.startswith(b"{"):
        return None
    try:
        return parse(msgspec.json.decode(data))
    except (msgspec.MsgspecError, ConfigError):
        return None


def parse(raw: Any, *, is_strict: bool = True) -> Config:
    """The config from plain data; this process knows its custom resources then. Raises ConfigError with the field's
    path."""
    if not isinstance(raw, dict):
        raise ConfigError("a config is a map that begins with `version: 1`")
    if raw.get("version", 1) != 1:
        raise ConfigError(
            f"{raw['version']!r} is not known here", path="version", hint="this program reads version: 1"
        )
    try:
        config = with_kubeconfigs(_convert(raw), is_strict=is_strict)
    except msgspec.ValidationError as error:
        raise explain(str(error), raw, _convert) from None
    learn(config.resources)
    check(config)
    return config


def _convert(raw: Any) -> Config:
    return msgspec.convert(raw, Config)


def dump(config: Config) -> bytes:
    """The config as JSON, which `load` reads back."""
    return msgspec.json.format(msgspec.json.encode(config))


def check(config: Config) -> None:
    """What the schema's types cannot say. Raises ConfigError with the field's path."""
    for field, value in (
        ("store.forget_after", config.store.forget_after),
        ("runtime.heartbeat", config.runtime.heartbeat),
        ("runtime.drain_deadline", config.runtime.drain_deadline),
    ):
        _value(field, parse_duration_s, value)
    _value("runtime.hang_after", parse_hang_after_s, config.runtime.hang_after)
    check_network(config)
    if not isinstance(config.engine, str):
        _value("engine.max_bytes", parse_bytes, config.engine.max_bytes)
    if config.archive is not None:
        _value("archive.max_bytes", parse_bytes, config.archive.max_bytes)
    names: dict[tuple[str | None, str], str] = {}
    for i, informer in enumerate(config.informers):
        _check_informer(config, informer, f"informers[{i}]")
        identity = (informer.cluster, canonical(informer.resource))
        if identity in names:
            raise ConfigError(
                f"{informer.resource!r} has an informer already, as {names[identity]!r}; one informer serves all "
                "its handlers",
                path=f"informers[{i}].resource",
            )
        names[identity] = informer.resource
    seen = set()
    for i, handler in enumerate(config.handlers):
        _check_handler(config, handler, f"handlers[{i}]")
        if handler.name in seen:
            raise ConfigError(
                f"a second handler named {handler.name!r}",
                path=f"handlers[{i}].name",
                hint="replicas: 2 starts a handler twice",
            )
        seen.add(handler.name)


def canonical(resource: str) -> str:
    """A resource's printed name where it is built in, else the text in lower case."""
    known = find(resource)
    return known.name if known else resource.strip().lower()


def _check_informer(config: Config, informer: Informer, path: str) -> None:
    _check_cluster(config, informer.cluster, path)
    if not informer.resource.strip():
        raise ConfigError(
            "a resource is named as kubectl names it: pods, deploy, widgets.example.com",
            path=f"{path}.resource",
        )
    if canonical(informer.resource) == "secrets" and informer.secrets is None:
        raise ConfigError(
            "an informer on Secrets puts their values into the cache",
            path=f"{path}.secrets",
            hint="say secrets: keep, hash or drop",
        )
    for name, text in informer.indexes.items():
        _value(f"{path}.indexes.{name}", FieldPath.parse, text)
    for i, text in enumerate(informer.drop):
        _value(f"{path}.drop[{i}]", FieldPath.parse, text)
    _value(f"{path}.max_bytes", parse_bytes, informer.max_bytes)


def _check_handler(config: Config, handler: HandlerProcess, path: str) -> None:
    is_elsewhere = handler.run is None and not handler.command and handler.replicas == 0
    if (handler.run is None) == (not handler.command) and not is_elsewhere:
        raise ConfigError(
            "exactly one of `run` (a Python file) and `command` (a list) is needed",
            path=path,
            hint="a program that speaks the wire protocol and is started elsewhere has neither, and replicas: 0",
        )
    if handler.run is None and not handler.on:
        what = "a handler that is started elsewhere" if is_elsewhere else "a command"
        raise ConfigError(f"{what} must say what it watches", path=f"{path}.on", hint="on: [pods]")
    for field, value in (("resync", handler.resync), ("deadline", handler.deadline)):
        if value is not None:
            _value(f"{path}.{field}", parse_duration_s, value)
    _value(f"{path}.window_bytes", parse_bytes, handler.window_bytes)
    if isinstance(handler.replicas, Scaling):
        _check_scaling(handler.replicas, f"{path}.replicas")
    for i, pattern in enumerate(handler.clusters):
        if not any(fnmatch.fnmatchcase(name, pattern) for name in config.clusters or [DEFAULT_CLUSTER]):
            known = ", ".join(config.clusters) or "none is configured"
            raise ConfigError(
                f"no cluster is called like {pattern!r} (clusters: {known})", path=f"{path}.clusters[{i}]"
            )
    for i, subscription in enumerate(handler.on):
        if not isinstance(subscription, str):
            _check_cluster(config, subscription.cluster, f"{path}.on[{i}]")
            _check_filter(handler, subscription, f"{path}.on[{i}]")


def _check_scaling(scaling: Scaling, path: str) -> None:
    if scaling.min > scaling.max:
        raise ConfigError(f"min is {scaling.min} and max is {scaling.max}", path=path)
    if scaling.backlog is None and scaling.cpu is None:
        raise ConfigError(
            "a range of replicas needs what their number goes by",
            path=path,
            hint="backlog: changes that wait for one replica, or cpu: cores that one takes",
        )
    _value(f"{path}.cool_down", parse_duration_s, scaling.cool_down)


def clause_of(handler: str, subscription: Subscription) -> Clause:
    """Which of a subscription's events are wanted. Raises ConfigError."""
    return make_clause(
        namespace=subscription.namespace,
        name=subscription.name,
        labels=subscription.labels,
        annotations=subscription.annotations,
        fields=subscription.fields,
        changed=subscription.changed,
        ignore_own_writes=subscription.ignore_own_writes,
        manager=handler,
    )


def _check_filter(handler: HandlerProcess, subscription: Subscription, path: str) -> None:
    try:
        clause = clause_of(handler.name, subscription)
    except ConfigError as error:
        raise ConfigError(error.message, path=path, hint=error.hint) from None
    if handler.run is not None and clause != Clause():
        raise ConfigError(
            "a filter of a Python file is said in its decorators",
            path=path,
            hint='such as @handler.on_update("pods", labels="app=web")',
        )


def _check_cluster(config: Config, cluster: str | None, path: str) -> None:
    if cluster is not None and cluster not in config.clusters:
        known = ", ".join(config.clusters) or "none is configured"
        raise ConfigError(f"no cluster named {cluster!r} (clusters: {known})", path=f"{path}.cluster")


def _value(path: str, parse_value: Any, value: Any) -> None:
    try:
        parse_value(value)
    except ConfigError as error:
        raise ConfigError(error.message, path=path, hint=error.hint) from None
