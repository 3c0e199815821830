"""The rights that a config needs, as objects of ``rbac.authorization.k8s.io/v1``. Pure: a plan in, objects out.

The reflectors list and watch what informers cache, and read the namespace ``kube-system``, whose uid is the cluster's
identity. Handlers write what they say they write (``writes``). Where Leases say who leads (``engine.leases``) brokers
read and write these. Nothing else of the pipeline asks an API server.
Finding the names of custom resources needs discovery, which ``system:discovery`` allows everybody who is authenticated.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deltawire.common.config.plan import ALL_NAMESPACES, HandlerPlan, Plan
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import find
from deltawire.fifo.relay.lead_names import lease_name
from deltawire.jetstream.settings import leases_of

API_GROUP = "rbac.authorization.k8s.io"
LEASES_GROUP = "coordination.k8s.io"
IDENTITY = {
    "apiGroups": [""],
    "resources": ["namespaces"],
    "resourceNames": ["kube-system"],
    "verbs": ["get"],
}
# RFC 1123 labels: namespaces and Services have no other names.
_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_VERB = re.compile(r"[a-z]+|\*")
READS = ("list", "watch")
# What a handler that names no verbs may do; of a subresource it writes what is there.
WRITES = ("get", "create", "update", "patch", "delete")
WRITES_SUBRESOURCE = ("get", "update", "patch")


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on one resource. ``plural`` may have a subresource; ``namespace``: "*" for all, and what has none.

    ``names``: of the objects, none for all.
    """

    namespace: str
    group: str
    plural: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


def object_name(text: str, path: str, *, chars_max: int = 63) -> str:
    """``text``, where an API server takes it as the name of any object. Raises ConfigError at ``path``."""
    if not _LABEL.fullmatch(text) or len(text) > chars_max:
        raise ConfigError(
            f"{text!r} is no name of an object",
            path=path,
            hint=f"a letter, then lower case letters, digits and '-', at most {chars_max}",
        )
    return text


def objects(plan: Plan, cluster: str, *, account: str, namespace: str) -> list[dict[str, Any]]:
    """The ServiceAccount; the roles and bindings of the reflectors, named like it, and of each handler that writes.

    Raises ConfigError for a custom resource whose group cannot be told from its name.
    """
    return [
        service_account(account, namespace),
        *granted(account, account, namespace, core(plan, cluster), more=[IDENTITY]),
        *(
            obj
            for handler in plan.handlers.values()
            for obj in granted(
                f"{account}-{handler.name}", account, namespace, writes(plan, cluster, handler)
            )
        ),
    ]


def core(plan: Plan, cluster: str) -> list[Right]:
    """What brokers and reflectors do in a cluster."""
    return [*reads(plan, cluster), *leases(plan, cluster)]


def leases(plan: Plan, cluster: str) -> list[Right]:
    """The Leases that decide which broker leads the informers of a cluster, where the config says so.

    A rule cannot name what is to be created.
    """
    named, engine = leases_of(plan.nats), plan.nats
    of_cluster = [name for name, informer in plan.informers.items() if informer.cluster == cluster]
    if named is None or engine is None or not of_cluster:
        return []
    names = tuple(sorted(lease_name(engine.name, informer) for informer in of_cluster))
    return [
        Right(named.namespace, LEASES_GROUP, "leases", ("create",)),
        Right(named.namespace, LEASES_GROUP, "leases", ("get", "update"), names),
    ]


def reads(plan: Plan, cluster: str) -> list[Right]:
    """What the informers of a cluster list and watch."""
    return [
        Right(stream, *group_and_plural(informer.resource), READS)
        for informer in plan.informers.values()
        if informer.cluster == cluster
        for stream in informer.streams
    ]


def writes(plan: Plan, cluster: str, handler: HandlerPlan) -> list[Right]:
    """What a handler writes in a cluster: in the namespaces that it watches there, or in all. Raises ConfigError."""
    watched = [plan.informers[name] for name in handler.subscriptions]
    places = {stream for informer in watched if informer.cluster == cluster for stream in informer.streams}
    if ALL_NAMESPACES in places:
        places = {ALL_NAMESPACES}
    found = []
    for text in handler.options.writes:
        verbs, _, what = text.rpartition(" ")
        resource, _, subresource = what.partition("/")
        group, plural = group_and_plural(resource)
        known = find(resource)
        # What belongs to no namespace is written in all or not at all.
        is_namespaced = known is None or known.namespaced
        where = places if is_namespaced or not places else {ALL_NAMESPACES}
        usual = WRITES_SUBRESOURCE if subresource else WRITES
        allowed = tuple(verbs.split(",")) if verbs else usual
        if wrong := next((verb for verb in allowed if not _VERB.fullmatch(verb)), None):
            raise ConfigError(
                f"{wrong!r} is no verb",
                path=f"handlers.{handler.name}.writes",
                hint=f"verbs are joined by commas: 'get,list {what}'",
            )
        name = f"{plural}/{subresource}" if subresource else plural
        found += [Right(place, group, name, allowed) for place in sorted(where)]
    return found


def group_and_plural(resource: str) -> tuple[str, str]:
    """(group, plural) of a resource as the config names it. Raises ConfigError."""
    known = find(resource)
    if known is not None:
        return known.group, known.plural
    plural, _, group = resource.partition(".")
    if not group:
        raise ConfigError(
            f"the API group of {resource!r} is not known",
            hint=f"name it with its group: {resource}.example.com",
        )
    return group, plural


def granted(
    name: str,
    account: str,
    namespace: str,
    rights: Iterable[Right],
    *,
    more: Sequence[dict[str, Any]] = (),
) -> Iterator[dict[str, Any]]:
    """Roles of this name that give the rights to an account of ``namespace``: a ClusterRole for all namespaces, else
    Roles.

    Outside of the account's namespace their names begin with it: pipelines of one name in two namespaces would
    otherwise take each other's rights away.
    """
    outside = f"{namespace}:{name}"
    by_namespace: dict[str, list[Right]] = defaultdict(list)
    for right in rights:
        by_namespace[right.namespace].append(right)
    # What is allowed everywhere need not be allowed once more in one namespace.
    everywhere = set(by_namespace.get(ALL_NAMESPACES, ()))
    cluster_rules = [*more, *rules(everywhere)]
    if cluster_rules:
        yield _role("ClusterRole", outside, "", cluster_rules)
        yield _binding("ClusterRole", outside, "", account, namespace)
    for place in sorted(set(by_namespace) - {ALL_NAMESPACES}):
        wanted = [right for right in by_namespace[place] if not _is_covered(right, everywhere)]
        if wanted:
            here = name if place == namespace else outside
            yield _role("Role", here, place, rules(wanted))
            yield _binding("Role", here, place, account, namespace)


def rules(rights: Iterable[Right]) -> list[dict[str, Any]]:
    """One rule for the resources of a group that share their verbs, sorted."""
    plurals: dict[tuple[str, tuple[str, ...], tuple[str, ...]], set[str]] = defaultdict(set)
    for right in rights:
        plurals[right.group, right.verbs, right.names].add(right.plural)
    return [
        {"apiGroups": [group], "resources": sorted(found)}
        | ({"resourceNames": list(names)} if names else {})
        | {"verbs": list(verbs)}
        for (group, verbs, names), found in sorted(plurals.items())
    ]


def service_account(name: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    }


def _is_covered(right: Right, others: Iterable[Right]) -> bool:
    return any(
        (right.group, right.plural) == (other.group, other.plural)
        and set(right.verbs) <= set(other.verbs)
        and not other.names
        for other in others
    )


def _role(kind: str, name: str, namespace: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": f"{API_GROUP}/v1",
        "kind": kind,
        "metadata": _metadata(name, namespace),
        "rules": found,
    }


def _binding(kind: str, name: str, namespace: str, account: str, account_namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{API_GROUP}/v1",
        "kind": f"{kind}Binding",
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": API_GROUP, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
    }


def _metadata(name: str, namespace: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace} if namespace else {"name": name}
