"""Aggregated discovery: everything that is served in two documents."""

from hashlib import sha256
from typing import Any

import msgspec
from aiohttp import web

from deltawire.apiserver.core.catalogue import Catalogue
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http import json_texts
from deltawire.apiserver.http.negotiate import DISCOVERY_GROUP

Tree = dict[str, Any]
_KIND = "APIGroupDiscoveryList"


def answer(catalogue: Catalogue, path: str, version: str, request: web.Request) -> web.Response:
    """``/api`` or ``/apis`` in that version of the API; 304 for a client that has it already."""
    tree = discovery_list(catalogue, [""] if path == "/api" else catalogue.groups(), version)
    body = json_texts.written(msgspec.json.encode(tree), request)
    etag = f'"{sha256(body).hexdigest()[:32].upper()}"'
    headers = {"ETag": etag, "Vary": "Accept", "Cache-Control": "public"}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    # Clients take the answer for a plain one unless the type is spelled out.
    headers["Content-Type"] = f"application/json;g={DISCOVERY_GROUP};v={version};as={_KIND}"
    return web.Response(body=body, headers=headers)


def discovery_list(catalogue: Catalogue, groups: list[str], version: str = "v2") -> Tree:
    """The named groups with their versions, best first, and all that is served in each."""
    return {
        "kind": _KIND,
        "apiVersion": f"{DISCOVERY_GROUP}/{version}",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [_version(catalogue, group, name) for name in catalogue.versions(group)],
            }
            for group in groups
        ],
    }


def _version(catalogue: Catalogue, group: str, version: str) -> Tree:
    resources = [r for r in catalogue.in_group(group) if r.type.version == version]
    resources.sort(key=lambda resource: resource.type.plural)
    return {"version": version, "freshness": "Current", "resources": [_resource(r) for r in resources]}


def _response_kind(resource: Resource) -> Tree:
    kind = resource.type
    if resource.is_custom:
        return {"group": kind.group, "version": kind.version, "kind": kind.kind}
    return {"group": "", "version": "", "kind": kind.kind}


def _resource(resource: Resource) -> Tree:
    kind = resource.type
    tree: Tree = {
        "resource": kind.plural,
        # Of a built-in kind only what differs from where it stands.
        "responseKind": _response_kind(resource),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(resource.verbs),
    }
    if kind.short_names:
        tree["shortNames"] = list(kind.short_names)
    if resource.categories:
        tree["categories"] = list(resource.categories)
    if resource.subresources:
        tree["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {
                    **_response_kind(resource),
                    **({"group": sub.group, "version": sub.version} if sub.kind else {}),
                    "kind": sub.kind or kind.kind,
                },
                "verbs": list(sub.verbs),
            }
            for sub in sorted(resource.subresources, key=lambda sub: sub.name)
        ]
    return tree
