"""Owners that are being deleted in the foreground: they outlive what they own and hold for it."""

from typing import NamedTuple

from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.store import Store


class Owner(NamedTuple):
    storage: str
    key: str
    uid: str


class WaitingOwners:
    """The waiting objects, by uid. Those of an earlier start are read from the store at the first use."""

    def __init__(self, store: Store, finalizer: str) -> None:
        self._store = store
        self._finalizer = finalizer
        self._known: dict[str, Owner] | None = None

    def add(self, storage: str, record: Record) -> None:
        self._owners()[record.uid] = Owner(storage, record.key, record.uid)

    def is_blocked(self, uid: str) -> bool:
        """Whether something is left that this owner has to outlive."""
        for storage, key in self._store.owned_by(uid):
            record = self._store.table(storage).records[key]
            for reference in record.decode()["metadata"].get("ownerReferences") or ():
                if reference.get("uid") == uid and reference.get("blockOwnerDeletion"):
                    return True
        return False

    def freed_by(self, record: Record) -> list[Owner]:
        """The owners that waited for ``record``, which is gone, and for nothing else; they wait no longer."""
        waiting = self._owners() if record.owners else {}
        return [waiting.pop(uid) for uid in record.owners if uid in waiting and not self.is_blocked(uid)]

    def _owners(self) -> dict[str, Owner]:
        if self._known is None:
            self._known = {
                record.uid: Owner(storage, record.key, record.uid)
                for storage, table in self._store.tables()
                for record in table.records.values()
                if record.is_terminating and self._finalizer in finalizers_of(record)
            }
        return self._known


def finalizers_of(record: Record) -> list[str]:
    if b'"finalizers":[' not in record.body:
        return []
    finalizers: list[str] = record.decode()["metadata"].get("finalizers") or []
    return finalizers
