"""Which controller looks at which kind."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from deltawire.apiserver.core.record import Record
from deltawire.apiserver.simulate import (
    autoscaling,
    budgets,
    cron_jobs,
    daemons,
    deployments,
    endpoints,
    jobs,
    nodes,
    replicas,
    stateful,
)
from deltawire.apiserver.simulate import (
    root_ca as root_certificates,
)
from deltawire.apiserver.simulate.desk import PODS, Desk
from deltawire.apiserver.simulate.kubelet import Kubelets

Tree = dict[str, Any]
Act = Callable[[Desk, Tree], None]

SERVICES, BUDGETS, NODES = "services", "poddisruptionbudgets.policy", "nodes"
DAEMON_SETS = "daemonsets.apps"
# Tables by the kind that an owner reference names.
OWNERS = {
    "Deployment": "deployments.apps",
    "ReplicaSet": "replicasets.apps",
    "ReplicationController": "replicationcontrollers",
    "StatefulSet": "statefulsets.apps",
    "DaemonSet": DAEMON_SETS,
    "Job": "jobs.batch",
    "CronJob": "cronjobs.batch",
    "Service": SERVICES,
}


class Acts(NamedTuple):
    """``of`` is what is done about an object of a table."""

    of: dict[str, Act]
    kubelets: Kubelets


def made(root_ca: Callable[[], str], pod_delay_s: float = 0.0) -> Acts:
    """The controllers of one server. ``pod_delay_s``: what pods take to start, and to stop."""
    kubelets = Kubelets(pod_delay_s)
    table: dict[str, Act] = {
        PODS: kubelets.act,
        NODES: nodes.act,
        "namespaces": lambda desk, obj: root_certificates.act(desk, obj, root_ca),
        "deployments.apps": deployments.act,
        "replicasets.apps": replicas.act,
        "replicationcontrollers": replicas.act,
        "statefulsets.apps": stateful.act,
        DAEMON_SETS: daemons.act,
        "jobs.batch": jobs.act,
        "cronjobs.batch": cron_jobs.act,
        SERVICES: endpoints.act,
        BUDGETS: budgets.act,
        "horizontalpodautoscalers.autoscaling": autoscaling.act,
    }
    return Acts(table, kubelets)


# Whose changes are looked at: whatever has a controller, and what controllers make.
TABLES = (
    "namespaces",
    NODES,
    "deployments.apps",
    "replicasets.apps",
    "replicationcontrollers",
    "statefulsets.apps",
    DAEMON_SETS,
    "jobs.batch",
    "cronjobs.batch",
    PODS,
    SERVICES,
    BUDGETS,
    "horizontalpodautoscalers.autoscaling",
    "endpointslices.discovery.k8s.io",
)


# Records never change, and their selectors are asked for with each pod that does.
@lru_cache(maxsize=4096)
def _selector_of(body: bytes) -> Any:
    return (msgspec.json.decode(body).get("spec") or {}).get("selector")


def _selector(record: Record) -> Any:
    return _selector_of(record.body)


NAMESPACED_BY_PODS: dict[str, Callable[[Record], Any]] = {SERVICES: _selector, BUDGETS: _selector}
