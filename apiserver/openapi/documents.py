"""The documents of OpenAPI v3: an index, and one for each group and version."""

import gzip
from hashlib import sha256
from typing import Any

import msgspec

from deltawire.apiserver.core.catalogue import Catalogue
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.openapi import models

Tree = dict[str, Any]

# Documents kept in memory with their compressed form; beyond it they are made anew.
CACHED_MAX = 64
_REFERENCE = "#/components/schemas/"
_OBJECT_META = ("meta_v1", "ObjectMeta")
# No strategic merge here: without merge keys in the schemas clients would compute wrong patches by it.
_PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml")
_ROOT_TEXTS = {
    "apiVersion": "APIVersion is the version of the schema that this object is written in.",
    "kind": "Kind is the name of the type of this object.",
}


class Documents:
    """Makes and keeps the documents of what ``catalogue`` serves. For one thread."""

    def __init__(self, catalogue: Catalogue, version: str) -> None:
        self._catalogue = catalogue
        self._version = version
        self._cached: dict[tuple[str, str, str], tuple[bytes, bytes]] = {}

    def index(self) -> Tree:
        """Where the document of each group and version is; its address changes with what is in it."""
        catalogue = self._catalogue
        paths = {}
        for group in ["", *catalogue.groups()]:
            for version in catalogue.versions(group):
                path = f"apis/{group}/{version}" if group else f"api/{version}"
                url = f"/openapi/v3/{path}?hash={self._fingerprint(group, version)}"
                paths[path] = {"serverRelativeURL": url}
        return {"paths": paths}

    def document(self, group: str, version: str) -> tuple[bytes, bytes] | None:
        """One document as JSON, plain and gzipped; None where nothing is served."""
        resources = self._resources(group, version)
        if not resources:
            return None
        key = group, version, self._fingerprint(group, version)
        if key not in self._cached:
            plain = msgspec.json.encode(self._made(group, version, resources))
            if len(self._cached) >= CACHED_MAX:
                self._cached.clear()
            self._cached[key] = plain, gzip.compress(plain, 6, mtime=0)
        return self._cached[key]

    def _resources(self, group: str, version: str) -> list[Resource]:
        return [r for r in self._catalogue.in_group(group) if r.type.version == version]

    def _fingerprint(self, group: str, version: str) -> str:
        about = [(r.type.plural, r.type.kind, r.schema) for r in self._resources(group, version)]
        return sha256(msgspec.json.encode((self._version, about))).hexdigest()[:32].upper()

    def _made(self, group: str, version: str, resources: list[Resource]) -> Tree:
        module = f"{group.partition('.')[0] or 'core'}_{version}"
        schemas: Tree = dict(models.components(*_meta()))
        paths: Tree = {}
        for resource in resources:
            name, found = _described(resource, module)
            schemas |= found
            schemas[name] = {**schemas[name], "x-kubernetes-group-version-kind": [_gvk(resource)]}
            paths |= _paths(resource, name)
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": self._version},
            "paths": paths,
            "components": {"schemas": schemas},
        }


def _meta() -> tuple[str, list[str]]:
    return _OBJECT_META[0], [_OBJECT_META[1]]


def _described(resource: Resource, module: str) -> tuple[str, Tree]:
    """The name of a resource's schema, and that schema with all it refers to."""
    kind = resource.type
    if not resource.is_custom and models.has_model(module, kind.kind):
        return models.component_name(module, kind.kind), models.components(module, [kind.kind])
    backwards = ".".join(reversed(kind.group.split("."))) if kind.group else "core"
    return f"{backwards}.{kind.version}.{kind.kind}", {
        f"{backwards}.{kind.version}.{kind.kind}": _with_root(resource.schema)
    }


def _with_root(schema: Any) -> Tree:
    """A custom resource's schema with what every object has."""
    root: Tree = {name: {"type": "string", "description": text} for name, text in _ROOT_TEXTS.items()}
    root["metadata"] = {"allOf": [{"$ref": _REFERENCE + models.component_name(*_OBJECT_META)}]}
    return {"type": "object", **schema, "properties": {**(schema.get("properties") or {}), **root}}


def _gvk(resource: Resource) -> Tree:
    kind = resource.type
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _paths(resource: Resource, name: str) -> Tree:
    kind = resource.type
    content = {"schema": {"$ref": _REFERENCE + name}}
    answer = {"200": {"description": "OK", "content": {"application/json": content}}}

    def operation(action: str, **more: Any) -> Tree:
        gvk = {"x-kubernetes-action": action, "x-kubernetes-group-version-kind": _gvk(resource)}
        return {**gvk, "responses": answer, **more}

    validated = [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldValidation")
    ]
    body = {"content": {"application/json": content}}
    patch = {"content": {media_type: {"schema": {"type": "object"}} for media_type in _PATCH_TYPES}}
    collection = kind.path("{namespace}")
    paths: Tree = {
        collection: {"post": operation("post", parameters=validated, requestBody=body)},
    }
    if resource.is_stored:
        paths[collection]["get"] = operation("list")
        paths[f"{collection}/{{name}}"] = {
            "get": operation("get"),
            "put": operation("put", parameters=validated, requestBody=body),
            "patch": operation("patch", parameters=validated, requestBody=patch),
        }
    return paths
