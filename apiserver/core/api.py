"""The face of the core: every verb of the API on one object that opens no socket."""

import builtins
import random
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from deltawire.apiserver.core import failures
from deltawire.apiserver.core.builtin import BUILTIN_RESOURCES
from deltawire.apiserver.core.catalogue import Catalogue
from deltawire.apiserver.core.context import Context
from deltawire.apiserver.core.crds import DEFINITIONS, settled
from deltawire.apiserver.core.custom import OnUnknown
from deltawire.apiserver.core.deletes import Deleter, Deletion
from deltawire.apiserver.core.evictions import check_budgets
from deltawire.apiserver.core.journal import FileJournal
from deltawire.apiserver.core.lists import Page, list_page
from deltawire.apiserver.core.logs import LogOptions, PodLogs
from deltawire.apiserver.core.metadata import timestamp
from deltawire.apiserver.core.options import DeleteOptions, ListOptions, WatchOptions
from deltawire.apiserver.core.pods import as_ended, as_running, container_of
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.core.restore import restore
from deltawire.apiserver.core.scale import applied_scale, scale_of, scaled
from deltawire.apiserver.core.scheduling import bound
from deltawire.apiserver.core.selection import Selection
from deltawire.apiserver.core.store import Store
from deltawire.apiserver.core.watches import WatchCursor, open_watch
from deltawire.apiserver.core.window import WindowLimits
from deltawire.apiserver.core.writes import Admit, Writer
from deltawire.apiserver.managed.managers import Manager

FIRST_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def _new_uid() -> str:
    return str(uuid.uuid4())


def _available(volume: dict[str, Any]) -> dict[str, Any]:
    """A volume without a claim, as a cluster shows it a moment after it was made."""
    return {**volume, "status": {**(volume.get("status") or {}), "phase": "Available"}}


class Applied(NamedTuple):
    """The outcome of a server-side apply."""

    record: Record
    is_new: bool


class ApiCore:
    """All resources of one simulated cluster. For one thread; every method returns at once.

    ``now`` gives Unix seconds. Objects handed in are not changed; records handed out never change. Methods
    raise `StatusError` for whatever the API would refuse.
    """

    def __init__(
        self,
        *,
        limits: WindowLimits | None = None,
        now: Callable[[], float] = time.time,
        new_uid: Callable[[], str] = _new_uid,
        choice: Callable[[str], str] = random.choice,
        resources: Iterable[Resource] = BUILTIN_RESOURCES,
        makes_accounts: bool = True,
    ) -> None:
        """``makes_accounts``: each namespace gets the account ``default``, which a controller makes in a cluster."""
        self._makes_accounts = makes_accounts
        self.now = now
        self.store = Store(limits or WindowLimits())
        self.catalogue = Catalogue(resources)
        for resource in self.catalogue:
            if resource.is_stored:
                self.store.table(resource.storage)
        self._context = Context(self.store, self.catalogue, now=now, new_uid=new_uid, choice=choice)
        self._deleter = Deleter(self._context)
        self._writer = Writer(self._context, self._deleter)
        self.logs = PodLogs()

    def restore(self, journal: FileJournal) -> None:
        """Take up where an earlier start with the same file left off; before `bootstrap`. Raises StateError."""
        restore(self._context, journal)

    def bootstrap(self) -> None:
        """Make the namespaces every cluster has, with their service accounts, where they are missing."""
        namespaces = self.store.table("namespaces").records
        for name in FIRST_NAMESPACES:
            if f"/{name}" not in namespaces:
                self.create("namespaces", {"metadata": {"name": name}})

    @property
    def stops_pods(self) -> bool:
        """Whether somebody stops pods that are deleted: with a grace period they are marked first, and go later."""
        return self._context.stops_pods

    @stops_pods.setter
    def stops_pods(self, stops: bool) -> None:
        self._context.stops_pods = stops

    @property
    def cluster_uid(self) -> str:
        """The uid of namespace kube-system, which clients use as the cluster's identity."""
        return self.get("namespaces", "kube-system").uid

    def resource(self, named: str | Resource) -> Resource:
        """The resource named like ``pods`` or ``deployments.apps``; StatusError 404 if not served."""
        return self._context.resource(named) if isinstance(named, str) else named

    def get(self, resource: str | Resource, name: str, namespace: str = "") -> Record:
        return self._context.existing(self.resource(resource), namespace, name)

    def exists(self, resource: str | Resource, name: str, namespace: str = "") -> bool:
        resource = self.resource(resource)
        key = f"{namespace}/{name}" if resource.type.namespaced else f"/{name}"
        return key in self.store.table(resource.storage).records

    def list(
        self,
        resource: str | Resource,
        selection: Selection = Selection(),
        options: ListOptions = ListOptions(),
    ) -> Page:
        resource = self.resource(resource)
        return list_page(self.store, self.store.table(resource.storage), selection, options)

    def watch(
        self,
        resource: str | Resource,
        selection: Selection = Selection(),
        options: WatchOptions = WatchOptions(),
    ) -> WatchCursor:
        resource = self.resource(resource)
        return open_watch(self.store, self.store.table(resource.storage), selection, options)

    def create(
        self,
        resource: str | Resource,
        obj: dict[str, Any],
        namespace: str = "",
        *,
        dry_run: bool = False,
        manager: Manager | None = None,
        on_unknown: OnUnknown | None = None,
        admit: Admit | None = None,
    ) -> Record:
        """``manager`` becomes the owner of the fields; without one managedFields stay empty.

        ``on_unknown`` gets the fields that a custom resource's schema does not know; they are dropped. ``admit`` is
        what webhooks make of the object before it is stored.
        """
        resource = self.resource(resource)
        record = self._writer.create(
            resource, namespace, obj, dry_run=dry_run, manager=manager, on_unknown=on_unknown, admit=admit
        )
        self._after_create(resource, record, dry_run=dry_run)
        return record

    def update(
        self,
        resource: str | Resource,
        obj: dict[str, Any],
        name: str,
        namespace: str = "",
        *,
        subresource: str = "",
        dry_run: bool = False,
        manager: Manager | None = None,
        on_unknown: OnUnknown | None = None,
        admit: Admit | None = None,
    ) -> Record:
        return self._writer.update(
            self.resource(resource),
            namespace,
            name,
            obj,
            subresource=subresource,
            dry_run=dry_run,
            manager=manager,
            on_unknown=on_unknown,
            admit=admit,
        )

    def patch(
        self,
        resource: str | Resource,
        apply: Callable[[dict[str, Any]], Any],
        name: str,
        namespace: str = "",
        *,
        subresource: str = "",
        dry_run: bool = False,
        manager: Manager | None = None,
        on_unknown: OnUnknown | None = None,
        admit: Admit | None = None,
    ) -> Record:
        """``apply`` gets a fresh tree of the stored object and returns what it should become."""
        return self._writer.patch(
            self.resource(resource),
            namespace,
            name,
            apply,
            subresource=subresource,
            dry_run=dry_run,
            manager=manager,
            on_unknown=on_unknown,
            admit=admit,
        )

    def apply(
        self,
        resource: str | Resource,
        config: dict[str, Any],
        name: str,
        namespace: str = "",
        *,
        manager: Manager,
        force: bool = False,
        dry_run: bool = False,
        on_unknown: OnUnknown | None = None,
        admit: Admit | None = None,
    ) -> Applied:
        """Server-side apply. Raises StatusError 409 where others own a field with another value."""
        resource = self.resource(resource)
        applied = Applied(
            *self._writer.apply(
                resource,
                namespace,
                name,
                config,
                manager,
                force=force,
                dry_run=dry_run,
                on_unknown=on_unknown,
                admit=admit,
            )
        )
        if applied.is_new:
            self._after_create(resource, applied.record, dry_run=dry_run)
        return applied

    def get_scale(self, resource: str | Resource, name: str, namespace: str = "") -> dict[str, Any]:
        """The autoscaling/v1 Scale of an object whose resource has one."""
        resource = self.resource(resource)
        return scale_of(resource, self.get(resource, name, namespace))

    def patch_scale(
        self,
        resource: str | Resource,
        change: Callable[[dict[str, Any]], Any],
        name: str,
        namespace: str = "",
        *,
        dry_run: bool = False,
        manager: Manager | None = None,
    ) -> dict[str, Any]:
        """``change`` gets the Scale and returns what it should become. Returns the new one."""
        resource = self.resource(resource)
        scale = change(self.get_scale(resource, name, namespace))
        record = self._writer.patch(
            resource,
            namespace,
            name,
            lambda obj: scaled(resource, obj, scale),
            dry_run=dry_run,
            manager=manager,
        )
        return scale_of(resource, record)

    def apply_scale(
        self,
        resource: str | Resource,
        scale: dict[str, Any],
        name: str,
        namespace: str = "",
        *,
        manager: Manager,
        force: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Server-side apply of a Scale. Returns the new one. Raises StatusError 409 where others own the number."""
        resource = self.resource(resource)
        config = applied_scale(resource, self.get(resource, name, namespace).decode(), scale)
        record, _ = self._writer.apply(
            resource, namespace, name, config, manager, force=force, dry_run=dry_run
        )
        return scale_of(resource, record)

    def evict(self, name: str, namespace: str, options: DeleteOptions = DeleteOptions()) -> Deletion:
        """Delete a pod unless a disruption budget covers it that allows none to go: StatusError 429."""
        check_budgets(self.store, self.get("pods", name, namespace), is_live=self.stops_pods)
        return self.delete("pods", name, namespace, options)

    def bind(self, name: str, namespace: str, node: str, *, dry_run: bool = False) -> Record:
        """Schedule a pod. Raises StatusError 409 if it is scheduled already."""
        pods = self.resource("pods")
        return self._writer.rewrite(
            pods, namespace, name, lambda pod: bound(pods, pod, node, self.now()), dry_run=dry_run
        )

    def script_log(self, name: str, namespace: str, text: str, *, container: str = "") -> None:
        """Set the log of a container of that pod to ``text``. Raises StatusError 400, 404, 413."""
        pod = self.get("pods", name, namespace)
        self.logs.script(pod, text, now_s=self.now(), alive=self._pod_uids, container=container)

    def append_log(self, name: str, namespace: str, text: str, *, container: str = "") -> None:
        """Append ``text`` to the log of a container of that pod. Raises StatusError 400, 404, 413."""
        pod = self.get("pods", name, namespace)
        self.logs.append(pod, text, now_s=self.now(), alive=self._pod_uids, container=container)

    def read_log(self, name: str, namespace: str, options: LogOptions = LogOptions()) -> bytes:
        """What the container printed; nothing where no text was given. Raises StatusError 400, 404."""
        return self.logs.open(self.get("pods", name, namespace), options).take()

    def run_pod(self, name: str, namespace: str, node: str = "node-1") -> Record:
        """Write what a kubelet does once all containers have started. Raises StatusError 404."""
        pods = self.resource("pods")
        return self._writer.rewrite(pods, namespace, name, lambda pod: as_running(pod, node, self.now()))

    def end_container(self, name: str, namespace: str, exit_code: int = 0, *, container: str = "") -> Record:
        """Write the status that a kubelet writes after a container's last exit. Raises StatusError 400, 404."""
        pods = self.resource("pods")
        ended = container_of(self.get(pods, name, namespace), container)
        return self._writer.rewrite(
            pods, namespace, name, lambda pod: as_ended(pod, ended, exit_code, self.now())
        )

    def delete(
        self,
        resource: str | Resource,
        name: str,
        namespace: str = "",
        options: DeleteOptions = DeleteOptions(),
    ) -> Deletion:
        return self._deleter.delete(self.resource(resource), namespace, name, options)

    def delete_collection(
        self,
        resource: str | Resource,
        selection: Selection,
        options: DeleteOptions = DeleteOptions(),
    ) -> builtins.list[Deletion]:
        """Delete everything selected, each object on its own."""
        resource = self.resource(resource)
        deletions = []
        for record in self.list(resource, selection).records:
            if record.key in self.store.table(resource.storage).records:
                deletions.append(self._deleter.delete(resource, record.namespace, record.name, options))
        return deletions

    def compact(self, resource: str = "") -> None:
        """Forget recent events (of one resource, or all): resuming a watch before now answers 410."""
        self.store.compact(resource)

    def rewind(self, version: int) -> None:
        """Be as of that version again, as after a restore. Raises StatusError 400, 410.

        Definitions of custom resources must be the same then and now.
        """
        definitions = self.store.table(DEFINITIONS).window
        if next(definitions.newest_first(above=version), None) is not None:
            raise failures.bad_request("definitions of custom resources have changed since that version")
        self.store.rewind(version)

    def _after_create(self, resource: Resource, record: Record, *, dry_run: bool) -> None:
        """Every namespace has an account for its pods; a definition is established a moment after it is made."""
        if resource.storage == "persistentvolumes" and not dry_run:
            self._writer.rewrite(resource, "", record.name, _available)
        if resource.storage == DEFINITIONS and not dry_run:
            others = [other.decode() for other in self.store.table(DEFINITIONS).records.values()]
            now = timestamp(self.now())
            self._writer.rewrite(resource, "", record.name, lambda obj: settled(obj, others, now))
        if resource.storage == "namespaces" and self._makes_accounts and not dry_run:
            account = {"metadata": {"name": "default"}}
            self._writer.create(self.resource("serviceaccounts"), record.name, account)

    def _pod_uids(self) -> set[str]:
        return {record.uid for record in self.store.table("pods").records.values()}

    def counts(self) -> dict[str, int]:
        """Objects by resource, empty ones left out."""
        return {name: len(table.keys) for name, table in self.store.tables() if table.keys}
