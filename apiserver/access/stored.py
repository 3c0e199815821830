"""The policy as it is stored now: read again when a role or a binding has changed, and only then."""

from collections.abc import Iterator
from typing import Any

from deltawire.apiserver.access.policy import Policy, read_policy
from deltawire.apiserver.core.store import Store

GROUP = "rbac.authorization.k8s.io"
_TABLES = ("roles", "clusterroles", "rolebindings", "clusterrolebindings")


class StoredPolicy:
    """Call it for the policy of this moment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read_at: tuple[object, ...] = ()
        self._policy = Policy()

    def __call__(self) -> Policy:
        windows = [self._store.table(f"{name}.{GROUP}").window for name in _TABLES]
        # A rewind puts other windows in place; every other change is an event.
        place = (*windows, *(window.head for window in windows))
        if place != self._read_at:
            roles, cluster_roles, role_bindings, cluster_role_bindings = map(self._trees, _TABLES)
            self._policy = read_policy(
                roles=roles,
                cluster_roles=cluster_roles,
                role_bindings=role_bindings,
                cluster_role_bindings=cluster_role_bindings,
            )
            self._read_at = place
        return self._policy

    def _trees(self, name: str) -> Iterator[dict[str, Any]]:
        table = self._store.table(f"{name}.{GROUP}")
        return (table.records[key].decode() for key in table.keys)
