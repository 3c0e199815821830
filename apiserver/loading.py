"""Objects from files: manifests, definitions of custom resources, and what ``kubectl get -o yaml`` dumped of a cluster.

Files are read whole before anything is made. Namespaces come first (also those that no file names), then
definitions, then the rest, owners before what they own. Owner references are of the new owners. What is there
already stays as it is, so that a server with a data file can be started again in the same way.
"""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.crds import DEFINITIONS
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.kinds.types import module_of
from deltawire.apiserver.schemas.typed import NotReadable, typed
from deltawire.common.errors import ConfigError, StatusError

Tree = dict[str, Any]
_log = logging.getLogger(__name__)

SUFFIXES = (".yaml", ".yml", ".json")
# Kinds that others need, in the order in which they are made.
_FIRST = ("Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "Node", "ServiceAccount")
# What belongs to the cluster that an object was taken from.
_NOT_TAKEN = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_HINT = "files hold objects with apiVersion, kind and metadata, or lists of such"


class Loaded(NamedTuple):
    """An object, and where it was read: a file, and its place in it."""

    where: str
    obj: Tree


def read_files(paths: Iterable[Path]) -> list[Loaded]:
    """All objects of files, and of the files of folders, in their order. Raises ConfigError."""
    return [loaded for path in paths for file in _files(path) for loaded in _read(file)]


def load(core: ApiCore, objects: Iterable[Loaded]) -> int:
    """Make the objects; how many are new. Raises ConfigError for one that cannot be made."""
    return _Loader(core, list(objects)).run()


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES and file.is_file())
    return [path]


def _read(path: Path) -> Iterator[Loaded]:
    try:
        text = path.read_bytes()
        # JSON is read as such: it is far quicker, and dumps are long.
        documents = [msgspec.json.decode(text)] if path.suffix == ".json" else _documents(text)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", path="load") from None
    except (yaml.YAMLError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        told = str(error).replace("\n", " ")
        raise ConfigError(f"{path}: {told}", path="load", hint=_HINT) from None
    for number, document in enumerate(documents, start=1):
        yield from _objects(f"{path}, document {number}", document)


def _documents(text: bytes) -> list[Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return list(yaml.load_all(text, Loader=loader))


def _objects(where: str, document: Any) -> Iterator[Loaded]:
    if document is None:
        return
    if isinstance(document, dict) and isinstance(document.get("items"), list):
        for number, item in enumerate(document["items"], start=1):
            # Items of typed lists (PodList) say neither.
            kind = str(document.get("kind", "")).removesuffix("List")
            if isinstance(item, dict) and kind and "kind" not in item:
                item = {**item, "kind": kind, "apiVersion": document.get("apiVersion", "v1")}
            yield from _objects(f"{where}, item {number}", item)
        return
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(metadata, dict) or not document.get("kind") or not document.get("apiVersion"):
        raise ConfigError(f"{where} is no object of Kubernetes", path="load", hint=_HINT)
    yield Loaded(where, document)


class _Loader:
    def __init__(self, core: ApiCore, objects: list[Loaded]) -> None:
        self._core = core
        self._objects = sorted(objects, key=_phase)
        self._of_uid = {uid: o for o in objects if (uid := str(o.obj["metadata"].get("uid", "")))}
        self._uids: dict[str, str] = {}
        self._done: set[int] = set()
        self._made = 0

    def run(self) -> int:
        for loaded in self._objects:
            self._take(loaded)
        return self._made

    def _take(self, loaded: Loaded) -> None:
        if id(loaded.obj) in self._done:
            return
        self._done.add(id(loaded.obj))
        for reference in loaded.obj["metadata"].get("ownerReferences") or ():
            owner = self._of_uid.get(str(reference.get("uid", "")))
            if owner is not None:
                self._take(owner)
        try:
            self._make(loaded)
        except (StatusError, NotReadable) as error:
            told = error.message if isinstance(error, StatusError) else str(error)
            raise ConfigError(f"{loaded.where}: {told}", path="load") from None

    def _make(self, loaded: Loaded) -> None:
        resource = self._resource(loaded)
        obj = self._taken(loaded, resource)
        metadata, status = obj["metadata"], obj.pop("status", None)
        namespace = ""
        if resource.type.namespaced:
            namespace = metadata["namespace"] = metadata.get("namespace") or "default"
            if not self._core.exists("namespaces", namespace):
                self._core.create("namespaces", {"metadata": {"name": namespace}})
        else:
            metadata.pop("namespace", None)
        name = metadata.get("name", "")
        if name and self._core.exists(resource, name, namespace):
            record = self._core.get(resource, name, namespace)
        else:
            record = self._core.create(resource, obj, namespace)
            self._made += 1
            if loaded.obj.get("status") and resource.has_status and resource.storage != DEFINITIONS:
                record = self._core.patch(
                    resource,
                    lambda made: {**made, "status": status},
                    record.name,
                    namespace,
                    subresource="status",
                )
        self._uids[str(loaded.obj["metadata"].get("uid", ""))] = record.uid

    def _taken(self, loaded: Loaded, resource: Resource) -> Tree:
        """The object as it is made here, in the form that Go would give it."""
        kind, obj = resource.type, loaded.obj
        if not resource.is_custom:
            obj, unknown = typed(module_of(kind.group, kind.version), kind.kind, obj)
            if unknown:
                _log.warning("%s: unknown fields are dropped: %s", loaded.where, ", ".join(unknown))
        metadata = {key: value for key, value in obj["metadata"].items() if key not in _NOT_TAKEN}
        references = metadata.get("ownerReferences") or ()
        if references:
            metadata["ownerReferences"] = [
                {**reference, "uid": self._uids.get(str(reference.get("uid", "")), reference.get("uid", ""))}
                for reference in references
            ]
        return {**obj, "metadata": metadata}

    def _resource(self, loaded: Loaded) -> Resource:
        version, kind = str(loaded.obj["apiVersion"]), str(loaded.obj["kind"])
        for resource in self._core.catalogue:
            if resource.is_stored and (resource.type.api_version, resource.type.kind) == (version, kind):
                return resource
        raise ConfigError(
            f"{loaded.where}: {kind} of {version} is not served",
            path="load",
            hint="load the definition of a custom resource, too",
        )


def _phase(loaded: Loaded) -> int:
    kind = str(loaded.obj["kind"])
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)
