"""What every controller works with: the objects, what an owner owns, statuses that are written when they change."""

import random
from collections.abc import Callable, Iterator
from typing import Any

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.metadata import timestamp
from deltawire.apiserver.core.options import DeleteOptions
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.scale import selector_text
from deltawire.apiserver.simulate.names import create_under_a_free_name
from deltawire.apiserver.simulate.pod_addresses import PodAddresses
from deltawire.common.meta.selectors import LabelSelector, parse_label_selector

Tree = dict[str, Any]
PODS = "pods"
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
# Selectors that are kept parsed; at the bound all are parsed anew.
SELECTORS_MAX = 10_000


class Desk:
    """For one thread. ``now`` gives Unix seconds; ``again`` asks for an object to be looked at at such a time."""

    def __init__(
        self,
        core: ApiCore,
        *,
        seed: int,
        now: Callable[[], float],
        again: Callable[[float, str, str], None],
    ) -> None:
        self.core = core
        self.now = now
        self.addresses = PodAddresses(core.store)
        self._again = again
        self._random = random.Random(seed)
        self._selectors: dict[str, LabelSelector] = {}
        self._made = 0

    @property
    def time(self) -> str:
        """Now, as the API writes times."""
        return timestamp(self.now())

    def number(self) -> int:
        """Another number at each call."""
        self._made += 1
        return self._made

    def records(self, storage: str, namespace: str = "") -> Iterator[Record]:
        table = self.core.store.table(storage)
        for key in list(table.keys_of(namespace)):
            if (record := table.records.get(key)) is not None:
                yield record

    def find(self, storage: str, namespace: str, name: str) -> Tree | None:
        record = self.core.store.table(storage).records.get(f"{namespace}/{name}")
        return None if record is None else record.decode()

    def owned(self, storage: str, owner: Tree, *, leaving: bool = False) -> list[Tree]:
        """What ``owner`` owns there, by key; what is being deleted only with ``leaving``."""
        uid, records = owner["metadata"]["uid"], self.core.store.table(storage).records
        found = [records[key] for of, key in self.core.store.owned_by(uid) if of == storage]
        return [record.decode() for record in found if leaving or not record.is_terminating]

    def claimed(self, storage: str, owner: Tree, reference: Tree) -> list[Tree]:
        """As `owned`, after objects without a controller that the owner's selector takes were adopted."""
        selector = (owner.get("spec") or {}).get("selector")
        namespace = owner["metadata"]["namespace"]
        if selector:
            for record in self.selected(storage, namespace, selector):
                if not record.owners and not record.is_terminating:
                    self.patch(storage, record.decode(), lambda obj: _with_owner(obj, reference))
        return self.owned(storage, owner)

    def selected(self, storage: str, namespace: str, selector: Any) -> list[Record]:
        """Those of a namespace that a label selector (either form) takes; an empty one takes all."""
        taken = self.selector(selector)
        return [record for record in self.records(storage, namespace) if taken.matches(record.labels)]

    def selector(self, selector: Any) -> LabelSelector:
        text = selector_text(selector)
        known = self._selectors.get(text)
        if known is None:
            if len(self._selectors) >= SELECTORS_MAX:
                self._selectors.clear()
            known = self._selectors[text] = parse_label_selector(text)
        return known

    def create(self, storage: str, body: Tree, namespace: str) -> Tree:
        """Raises StatusError."""
        return self.core.create(storage, body, namespace).decode()

    def create_with_suffix(self, storage: str, make: Callable[[str], Tree], namespace: str) -> Tree:
        """Create what ``make`` gives for a suffix that makes its name a free one. Raises StatusError."""
        _, made = create_under_a_free_name(
            lambda: "".join(self._random.choice(_SUFFIX) for _ in range(_SUFFIX_LENGTH)),
            (),
            lambda suffix: self.create(storage, make(suffix), namespace),
        )
        return made

    def patch(self, storage: str, obj: Tree, change: Callable[[Tree], Tree]) -> None:
        metadata = obj["metadata"]
        self.core.patch(storage, change, metadata["name"], metadata.get("namespace", ""))

    def set_status(self, storage: str, obj: Tree, status: Tree) -> None:
        """Write the status unless it is so already."""
        if obj.get("status") == status:
            return
        metadata = obj["metadata"]
        self.core.patch(
            storage,
            lambda current: {**current, "status": status},
            metadata["name"],
            metadata.get("namespace", ""),
            subresource="status",
        )

    def delete(self, storage: str, obj: Tree, *, grace_s: int | None = None) -> None:
        metadata = obj["metadata"]
        options = DeleteOptions(uid=metadata["uid"], grace_s=grace_s)
        self.core.delete(storage, metadata["name"], metadata.get("namespace", ""), options)

    def look_again(self, at_s: float, storage: str, obj: Tree) -> None:
        """Have the object looked at when ``now`` has passed ``at_s``, if nothing happens before."""
        metadata = obj["metadata"]
        self._again(at_s, storage, f"{metadata.get('namespace', '')}/{metadata['name']}")


def reference_to(obj: Tree, api_version: str, kind: str) -> Tree:
    """The owner reference of a controller."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _with_owner(obj: Tree, reference: Tree) -> Tree:
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "ownerReferences": [reference]}}
