"""Which namespace a command means that is given none."""

from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError
from deltawire.handlers.core import CorePlan

FALLBACK_NAMESPACE = "default"


def default_namespace(plan: Plan, cluster: str) -> str:
    """The namespace of the cluster's context, as kubectl takes it; ``default`` where that cannot be read.

    Of a core on another host: as it is there.
    """
    if isinstance(plan, CorePlan) and plan.namespaces:
        return plan.namespaces.get(cluster, FALLBACK_NAMESPACE)
    from deltawire.client.config.loading import load

    options = plan.clusters.get(cluster)
    if options is None:
        return FALLBACK_NAMESPACE
    try:
        return load(kubeconfig=options.kubeconfig, context=options.context).namespace
    except DeltawireError:
        return FALLBACK_NAMESPACE


def default_namespaces(plan: Plan) -> dict[str, str]:
    """Of each cluster."""
    return {cluster: default_namespace(plan, cluster) for cluster in plan.clusters}
