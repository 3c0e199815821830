"""What is served, as clients ask for it before anything else: legacy discovery, version, OpenAPI's stub."""

import platform
from collections.abc import Iterable
from typing import Any

from deltawire.apiserver.auth.signer import ALGORITHM
from deltawire.apiserver.auth.tokens import ISSUER
from deltawire.apiserver.core.catalogue import Catalogue
from deltawire.apiserver.core.resource import Resource

SERVED_MINOR = "35"
GIT_VERSION = f"v1.{SERVED_MINOR}.0+deltawire"

# An OpenAPI v2 document in protobuf with nothing but its version and title. kubectl needs one before it
# creates anything; with an empty one it leaves validation to the server.
OPENAPI_V2_STUB = b"\n\x032.0\x12\x13\n\nKubernetes\x12\x05v1.35"
OPENAPI_V2 = {"swagger": "2.0", "info": {"title": "Kubernetes", "version": f"v1.{SERVED_MINOR}"}, "paths": {}}
OPENAPI_V2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def version_info() -> dict[str, str]:
    return {
        "major": "1",
        "minor": SERVED_MINOR,
        "emulationMajor": "1",
        "emulationMinor": SERVED_MINOR,
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": str(int(SERVED_MINOR) - 1),
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }


# Of custom resources real servers list the same verbs in an order of their own.
_CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


def openid(url: str) -> dict[str, Any]:
    """What verifiers of service account tokens ask for first."""
    return {
        "issuer": ISSUER,
        "jwks_uri": f"{url}/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
    }


def health(path: str, checks: tuple[str, ...]) -> str:
    """``?verbose``: a line for each check."""
    lines = [f"[+]{name} ok" for name in checks]
    return "\n".join([*lines, f"{path.strip('/')} check passed", ""])


def api_versions(address: str) -> dict[str, Any]:
    """``/api``: the versions of the core group."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def api_group_list(catalogue: Catalogue, others: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    """``/apis``: the named groups, then those that other servers answer for."""
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": _merged([_group(catalogue, name) for name in catalogue.groups()], others),
    }


def api_group(
    catalogue: Catalogue, name: str, others: Iterable[dict[str, Any]] = ()
) -> dict[str, Any] | None:
    """``/apis/GROUP``; None if nothing of the group is served."""
    own = [_group(catalogue, name)] if name in catalogue.groups() else []
    found = _merged(own, [other for other in others if other["name"] == name])
    return {"kind": "APIGroup", "apiVersion": "v1", **found[0]} if found else None


def _merged(own: list[dict[str, Any]], others: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A group that is served here and elsewhere is one, with the versions of both."""
    merged = {group["name"]: group for group in own}
    for other in others:
        known = merged.get(other["name"])
        versions = [*(known or {}).get("versions", ()), *other["versions"]]
        merged[other["name"]] = {**(known or other), "versions": versions}
    return list(merged.values())


def api_resource_list(catalogue: Catalogue, group: str, version: str) -> dict[str, Any] | None:
    """``/api/v1`` and ``/apis/GROUP/VERSION``; None if nothing is served there."""
    rows = [row for r in catalogue.in_group(group) if r.type.version == version for row in _rows(r)]
    if not rows:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": rows,
    }


def root_paths(catalogue: Catalogue) -> dict[str, Any]:
    """``/``: every path that answers without a name."""
    paths = ["/api", "/api/v1", "/apis"]
    for group in catalogue.groups():
        paths.append(f"/apis/{group}")
        paths += [f"/apis/{group}/{version}" for version in catalogue.versions(group)]
    return {"paths": [*paths, "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]}


def _group(catalogue: Catalogue, name: str) -> dict[str, Any]:
    versions = [{"groupVersion": f"{name}/{v}", "version": v} for v in catalogue.versions(name)]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _rows(resource: Resource) -> list[dict[str, Any]]:
    """The resource's own row, then one for each subresource, which repeats no short name."""
    kind = resource.type
    row: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(_CUSTOM_VERBS if resource.is_custom else resource.verbs),
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    rows = [row]
    for sub in resource.subresources:
        part: dict[str, Any] = {"name": f"{kind.plural}/{sub.name}", "singularName": ""}
        if sub.group and sub.group != kind.group:
            part |= {"group": sub.group, "version": sub.version}
        part |= {
            "namespaced": kind.namespaced,
            "kind": sub.kind or kind.kind,
            "verbs": list(sub.verbs),
        }
        rows.append(part)
    return rows
