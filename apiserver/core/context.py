"""What the writing parts of the core share: the store, the catalogue, the clock and where names come from."""

from collections.abc import Callable
from typing import Any

from deltawire.apiserver.core import failures
from deltawire.apiserver.core.catalogue import Catalogue
from deltawire.apiserver.core.crds import DEFINITIONS, is_established, resources_of
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.core.store import Store


class Context:
    """``now`` gives Unix seconds, ``new_uid`` a fresh uid, ``choice`` one character of a text."""

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        *,
        now: Callable[[], float],
        new_uid: Callable[[], str],
        choice: Callable[[str], str],
    ) -> None:
        self.store = store
        self.catalogue = catalogue
        self.now = now
        self.new_uid = new_uid
        self.choice = choice
        # Whether kubelets are there that stop pods; without them a pod goes as soon as it is deleted.
        self.stops_pods = False

    @property
    def namespaces(self) -> Resource:
        return self.resource("namespaces")

    def resource(self, storage: str) -> Resource:
        """The resource of a table, like ``pods`` or ``deployments.apps``; StatusError 404 if not served."""
        resource = self.catalogue.of_storage(storage)
        if resource is None:
            raise failures.not_served(storage)
        return resource

    def existing(self, resource: Resource, namespace: str, name: str) -> Record:
        """The stored object; StatusError 404 if there is none."""
        key = f"{namespace}/{name}" if resource.type.namespaced else f"/{name}"
        record = self.store.table(resource.storage).records.get(key)
        if record is None:
            raise failures.not_found(resource, name)
        return record

    def stop_serving(self, definition: str) -> None:
        """Remove the resource of a definition that is gone, with its table."""
        plural, _, group = definition.partition(".")
        self.catalogue.remove(group, plural)
        self.store.drop(definition)

    def after_write(self, resource: Resource, obj: dict[str, Any]) -> None:
        """A definition of custom resources takes effect with the write that stores it."""
        if resource.storage != DEFINITIONS:
            return
        spec = obj["spec"]
        self.catalogue.remove(spec["group"], spec["names"]["plural"])
        for served in resources_of(obj) if is_established(obj) else ():
            self.catalogue.add(served)
