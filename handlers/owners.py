"""From an object to the key of its controlling owner: ``reconcile("pods", owner="replicasets.apps")``.

Not here: garbage collection and adoption (the API server's and its controllers' business).
"""

import msgspec

from deltawire.client.rest.decode import decoder_of
from deltawire.common.meta import resources
from deltawire.common.meta.keys import key_of, split_key
from deltawire.handlers.events import Delivery


class OwnerReference(msgspec.Struct):
    apiVersion: str = ""  # noqa: N815  # the API's own name
    kind: str = ""
    name: str = ""
    controller: bool | None = None


class _Metadata(msgspec.Struct):
    ownerReferences: list[OwnerReference] | None = None  # noqa: N815  # the API's own name


class _Object(msgspec.Struct):
    metadata: _Metadata


_decode = decoder_of(_Object)


class OwnerKeys:
    """The keys of an event's owners: of the new object's and, as it may have changed hands, of the old one's.

    Callable as a `Reconcile.keys`. An object that cannot be read has no owner.
    """

    def __init__(self, owner: str) -> None:
        self._type = resources.find(owner)
        self._word, _, self._group = owner.lower().partition(".")

    def __call__(self, delivery: Delivery) -> list[str]:
        namespace, _ = split_key(delivery.key)
        keys: list[str] = []
        for body in (delivery.object, delivery.old):
            key = self._owner_of(namespace, body) if body else None
            if key is not None and key not in keys:
                keys.append(key)
        return keys

    def _owner_of(self, namespace: str, body: bytes) -> str | None:
        try:
            references = _decode(body).metadata.ownerReferences
        except msgspec.MsgspecError:
            return None
        for reference in references or ():
            if reference.controller and self._is_ours(reference):
                clusterwide = self._type is not None and not self._type.namespaced
                return key_of("" if clusterwide else namespace, reference.name)
        return None

    def _is_ours(self, reference: OwnerReference) -> bool:
        group = reference.apiVersion.rpartition("/")[0]
        if self._type is not None:
            return group == self._type.group and reference.kind == self._type.kind
        kind = reference.kind.lower()
        plurals = (kind, f"{kind}s", f"{kind}es", f"{kind[:-1]}ies")
        # A custom resource: its plural is a guess from its kind, as its definition is not at hand here.
        return group == self._group and self._word in plurals


def own_key(delivery: Delivery) -> tuple[str]:
    """The `Reconcile.keys` of a reconcile without an owner."""
    return (delivery.key,)
