"""All objects of a deployment, in the order in which they are to be made."""

from collections.abc import Iterator
from typing import Any

from deltawire.cli import rbac
from deltawire.cli.manifest import configs, pods
from deltawire.cli.manifest import shape as places
from deltawire.cli.manifest.monitoring import monitoring
from deltawire.cli.manifest.shape import Shape
from deltawire.cli.manifest.text import config_text
from deltawire.common.config.plan import HandlerPlan, Plan
from deltawire.common.errors import ConfigError
from deltawire.common.meta.units import parse_duration_s

Tree = dict[str, Any]
CORE = "core"
_CONFIG = "deltawire.yaml"


def objects(plan: Plan, shape: Shape) -> Iterator[Tree]:
    """Of the config's first cluster, in which all this runs. Raises ConfigError."""
    for name in plan.handlers:
        if len(name) > places.HANDLER_CHARS_MAX:
            hint = f"on Kubernetes at most {places.HANDLER_CHARS_MAX} characters"
            raise ConfigError(f"the name is too long: {name}", path="handlers", hint=hint)
    cluster = plan.first_cluster
    yield rbac.service_account(shape.name, shape.namespace)
    yield from rbac.granted(
        shape.name,
        shape.name,
        shape.namespace,
        rbac.core(plan, cluster),
        more=[rbac.IDENTITY],
    )
    yield _config_map(shape, f"{shape.name}-allowed", CORE, {"allowed": shape.allowed})
    config = config_text(configs.core(plan, shape))
    yield _config_map(shape, f"{shape.name}-config", CORE, {_CONFIG: config})
    if shape.secrets is not None:
        core_secrets = {o: text for o, text in shape.secrets.items() if not o.startswith("handler/")}
        yield _secret(shape, f"{shape.name}-keys", CORE, core_secrets)
    yield _service(plan, shape)
    yield _stateful_set(plan, shape, config)
    yield _core_policy(plan, shape)
    for handler in plan.handlers.values():
        yield from _handler(plan, shape, handler)
    if shape.monitor:
        yield from monitoring(shape)


def _service(plan: Plan, shape: Shape) -> Tree:
    """Handlers find the core by it also while it is not ready: then they wait connected."""
    ports = [{"name": "control", "port": places.CONTROL_PORT}, *_worker_ports(plan)]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": shape.metadata(shape.name, CORE),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": shape.labels(CORE),
            "ports": [*ports, {"name": "metrics", "port": places.METRICS_PORT}],
        },
    }


def _stateful_set(plan: Plan, shape: Shape, config: str) -> Tree:
    runtime = plan.config.runtime
    container = {
        "name": "core",
        "args": ["up"],
        "ports": [
            {"name": "control", "containerPort": places.CONTROL_PORT},
            *({"name": p["name"], "containerPort": p["port"]} for p in _worker_ports(plan)),
            {"name": "metrics", "containerPort": places.METRICS_PORT},
        ],
        "startupProbe": pods.http_probe("/livez", 2, 60),
        "livenessProbe": pods.http_probe("/livez", 10, 3),
        "readinessProbe": pods.http_probe("/readyz/core", 5, 2),
        "resources": shape.size.core(runtime.workers, runtime.reflectors),
        "volumeMounts": pods.mounts(pods.mount("state", places.STATE_MOUNT, read_only=False)),
    }
    volumes = pods.files(f"{shape.name}-config", f"{shape.name}-allowed", f"{shape.name}-keys")
    claim: Tree = {
        "accessModes": ["ReadWriteOncePod"],
        "resources": {"requests": {"storage": shape.size.disk}},
    }
    if shape.storage_class:
        claim["storageClassName"] = shape.storage_class
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": shape.metadata(shape.name, CORE),
        "spec": {
            "replicas": 1,
            "serviceName": shape.name,
            "selector": {"matchLabels": shape.labels(CORE)},
            "template": pods.pod(
                shape, CORE, shape.name, container, volumes, _grace_s(plan), [config]
            ),
            "volumeClaimTemplates": [{"metadata": {"name": "state"}, "spec": claim}],
        },
    }


def _handler(plan: Plan, shape: Shape, handler: HandlerPlan) -> Iterator[Tree]:
    name, component = f"{shape.name}-{handler.name}", f"handler-{handler.name}"
    yield rbac.service_account(name, shape.namespace)
    rights = rbac.writes(plan, plan.first_cluster, handler)
    yield from rbac.granted(name, name, shape.namespace, rights)
    config = config_text(configs.handler(plan, shape, handler.name))
    yield _config_map(shape, f"{name}-config", component, {_CONFIG: config})
    read = [config]
    if shape.secrets is not None:
        owner = f"handler/{handler.name}"
        yield _secret(shape, f"{name}-key", component, {owner: shape.secrets[owner]})
    mounts, volumes = pods.mounts(), pods.files(f"{name}-config", f"{shape.name}-allowed", f"{name}-key")
    if handler.name in shape.code:
        file, text = shape.code[handler.name]
        read.append(text)
        yield _config_map(shape, f"{name}-code", component, {file: text})
        mounts.append(pods.mount("code", places.CODE_DIR))
        volumes.append(pods.config_map("code", f"{name}-code"))
    container = {
        "name": "handler",
        "args": ["handler", handler.name],
        "startupProbe": pods.health_probe(2, 60),
        "readinessProbe": pods.health_probe(5, 3),
        "resources": shape.size.handler(),
        "volumeMounts": mounts,
    }
    template = pods.pod(shape, component, name, container, volumes, _grace_s(plan), read)
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": shape.metadata(name, component),
        "spec": {
            "replicas": replicas_of(handler),
            "selector": {"matchLabels": shape.labels(component)},
            "template": template,
        },
    }
    yield _policy(shape, name, component, [])


def replicas_of(handler: HandlerPlan) -> int:
    """At the start; a range is for an autoscaler of the cluster's to fill."""
    found = handler.options.replicas
    least: int = found if isinstance(found, int) else found.min
    return max(least, 1)


def _core_policy(plan: Plan, shape: Shape) -> Tree:
    """Handlers of this deployment reach control and workers; the metrics anybody in the cluster."""
    ours = {"app.kubernetes.io/name": "deltawire", "app.kubernetes.io/instance": shape.name}
    ports = ["control", *(port["name"] for port in _worker_ports(plan))]
    rules: list[Tree] = [
        {
            "from": [{"podSelector": {"matchLabels": ours}}],
            "ports": [{"port": port, "protocol": "TCP"} for port in ports],
        },
        {"from": [{"namespaceSelector": {}}], "ports": [{"port": "metrics", "protocol": "TCP"}]},
    ]
    return _policy(shape, shape.name, CORE, rules)


def _policy(shape: Shape, name: str, component: str, ingress: list[Tree]) -> Tree:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": shape.metadata(name, component),
        "spec": {
            "podSelector": {"matchLabels": shape.labels(component)},
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    }


def _worker_ports(plan: Plan) -> list[Tree]:
    workers = range(plan.config.runtime.workers)
    return [{"name": f"worker-{i}", "port": places.FIRST_WORKER_PORT + i} for i in workers]


def _grace_s(plan: Plan) -> int:
    return int(parse_duration_s(plan.config.runtime.drain_deadline)) + pods.SYNC_S


def _config_map(shape: Shape, name: str, component: str, data: dict[str, str]) -> Tree:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": shape.metadata(name, component),
        "data": data,
    }


def _secret(shape: Shape, name: str, component: str, secrets: dict[str, str]) -> Tree:
    files = {f"{owner.replace('/', '.')}.secret": text for owner, text in secrets.items()}
    metadata = shape.metadata(name, component)
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "stringData": files}
