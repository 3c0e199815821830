"""Definitions of custom resources: what one must say, what the server adds, what is served because of it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from deltawire.apiserver.core.conversions import Converter
from deltawire.apiserver.core.failures import cause, invalid
from deltawire.apiserver.core.resource import PrinterColumn, Resource, ScalePaths
from deltawire.common.errors import StatusError
from deltawire.common.meta.resources import ResourceType

if TYPE_CHECKING:
    from deltawire.apiserver.cel.rules import Rules

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def complete_definition(resource: Resource, obj: dict[str, Any], now: str) -> None:
    """Check a definition and fill in names and status, in place. Raises StatusError 422.

    Its names are not accepted yet: `settled` says what becomes of them.
    """
    _check(resource, obj)
    spec = obj["spec"] = dict(obj["spec"])
    names = spec["names"] = dict(spec["names"])
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", f"{names['kind']}List")
    spec.setdefault("conversion", {"strategy": "None"})
    status = obj["status"] = dict(obj.get("status") or {})
    stored = [str(version["name"]) for version in spec["versions"] if version.get("storage")]
    earlier = [name for name in status.get("storedVersions") or () if name not in stored]
    status["storedVersions"] = earlier + stored
    if is_established(obj):
        status["acceptedNames"] = names
    else:
        status.setdefault("acceptedNames", {"plural": "", "kind": ""})
        status.setdefault("conditions", None)


def is_established(definition: dict[str, Any]) -> bool:
    """Whether its objects are served."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)


def settled(definition: dict[str, Any], others: Iterable[dict[str, Any]], now: str) -> dict[str, Any]:
    """A new definition with what became of its names: it is established unless others of its group have them."""
    spec, status = definition["spec"], dict(definition.get("status") or {})
    names = spec["names"]
    taken: dict[str, set[str]] = {"kind": set(), "listKind": set(), "singular": set(), "shortNames": set()}
    for other in others:
        if (
            other["metadata"]["name"] == definition["metadata"]["name"]
            or other["spec"]["group"] != spec["group"]
        ):
            continue
        accepted = (other.get("status") or {}).get("acceptedNames") or {}
        for field in ("kind", "listKind", "singular"):
            taken[field].add(accepted.get(field, ""))
        taken["shortNames"] |= set(accepted.get("shortNames") or ())
    accepted, conflict = {"plural": names["plural"], "kind": ""}, ("", "")
    for field in ("singular", "shortNames", "kind", "listKind"):
        wanted = names.get(field) or []
        clash = [name for name in (wanted if isinstance(wanted, list) else [wanted]) if name in taken[field]]
        if clash:
            conflict = f"{field[0].upper()}{field[1:]}Conflict", f'"{clash[0]}" is already in use'
        elif wanted:
            accepted[field] = wanted
    if conflict[0]:
        conditions = [
            condition("NamesAccepted", "False", *conflict, now),
            condition("Established", "False", "NotAccepted", "not all names are accepted", now),
        ]
    else:
        conditions = [
            condition("NamesAccepted", "True", "NoConflicts", "no conflicts found", now),
            condition(
                "Established", "True", "InitialNamesAccepted", "the initial names have been accepted", now
            ),
        ]
    status |= {"acceptedNames": accepted, "conditions": conditions}
    return {**definition, "status": status}


def check_schemas(resource: Resource, obj: dict[str, Any]) -> None:
    """StatusError 422 for a definition with a version that has no schema. `complete_definition` lets it pass."""
    versions = (obj.get("spec") or {}).get("versions") or ()
    missing = [
        cause(
            f"spec.versions[{position}].schema.openAPIV3Schema",
            "Required value",
            "FieldValueRequired",
        )
        for position, version in enumerate(versions)
        if isinstance(version, dict) and not (version.get("schema") or {}).get("openAPIV3Schema")
    ]
    if missing:
        raise invalid(resource, (obj.get("metadata") or {}).get("name", ""), *missing)


def condition(kind: str, status: str, reason: str, message: str, now: str) -> dict[str, str]:
    return {"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message}


def resources_of(definition: dict[str, Any]) -> list[Resource]:
    """One resource for each served version of a complete definition."""
    spec = definition["spec"]
    names = spec["names"]
    (stored,) = [version["name"] for version in spec["versions"] if version.get("storage")]
    converter = _converter(definition)
    resources = []
    for version in spec["versions"]:
        if not version.get("served"):
            continue
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        kind = _type(spec, version["name"])
        is_converted = converter is not None and version["name"] != stored
        resources.append(
            Resource(
                kind,
                conversion=converter.between(_type(spec, stored), kind.api_version)
                if converter is not None and is_converted
                else None,
                storage_version=stored,
                list_kind=names["listKind"],
                has_status="status" in (version.get("subresources") or {}),
                has_generation=True,
                is_custom=True,
                fields=tuple(
                    field["jsonPath"].lstrip(".") for field in version.get("selectableFields") or ()
                ),
                categories=tuple(names.get("categories") or ()),
                needs_version_on_update=True,
                scale=_scale_paths(version),
                columns=tuple(
                    PrinterColumn(
                        str(column.get("name", "")),
                        str(column.get("type", "string")),
                        str(column.get("jsonPath", "")),
                        int(column.get("priority") or 0),
                    )
                    for column in version.get("additionalPrinterColumns") or ()
                ),
                schema=schema,
                rules=_rules(schema),
            )
        )
    return resources


def _type(spec: dict[str, Any], version: str) -> ResourceType:
    names = spec["names"]
    return ResourceType(
        group=spec["group"],
        version=version,
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        singular=names["singular"],
        short_names=tuple(names.get("shortNames") or ()),
    )


def _converter(definition: dict[str, Any]) -> Converter | None:
    """The webhook that converts between versions, if there is one."""
    conversion = definition["spec"].get("conversion") or {}
    if conversion.get("strategy") != "Webhook":
        return None
    return Converter(conversion.get("webhook") or {}, definition["spec"]["names"]["kind"])


def _scale_paths(version: dict[str, Any]) -> ScalePaths | None:
    scale = (version.get("subresources") or {}).get("scale")
    if not scale:
        return None
    return ScalePaths(
        str(scale.get("specReplicasPath", "")).lstrip("."),
        str(scale.get("statusReplicasPath", "")).lstrip("."),
        str(scale.get("labelSelectorPath", "")).lstrip("."),
    )


def _rules(schema: Any) -> "Rules | None":
    from deltawire.apiserver.cel.rules import Rules, has_rules

    return Rules(schema) if has_rules(schema) else None


def _check(resource: Resource, obj: dict[str, Any]) -> None:
    # Loaded with the first definition: a server starts sooner without.
    from deltawire.apiserver.rules import definition_parts, definitions

    name = obj["metadata"]["name"]
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        raise _required(resource, name, "spec")
    names, versions = spec.get("names"), spec.get("versions")
    if not isinstance(names, dict) or not isinstance(versions, list) or not versions:
        raise _required(resource, name, "spec.names" if not isinstance(names, dict) else "spec.versions")
    for path, holder in (("group", spec), ("names.plural", names), ("names.kind", names)):
        value = holder.get(path.rpartition(".")[2])
        if not isinstance(value, str) or not value:
            raise _required(resource, name, f"spec.{path}")
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        told = f'Unsupported value: "{spec.get("scope")}": supported values: "Cluster", "Namespaced"'
        raise invalid(resource, name, cause("spec.scope", told, "FieldValueNotSupported"))
    expected = f"{names['plural']}.{spec['group']}"
    if name != expected:
        told = f'Invalid value: "{name}": must be spec.names.plural+"."+spec.group'
        raise invalid(resource, name, cause("metadata.name", told))
    for position, version in enumerate(versions):
        if not isinstance(version, dict) or not isinstance(version.get("name"), str):
            raise _required(resource, name, f"spec.versions[{position}].name")
    causes = [
        *definitions.approval(obj),
        *definition_parts.spec(obj),
        *definitions.versions(obj),
        *definitions.structure(obj),
        *definitions.conversion(obj),
    ]
    if not causes:
        from deltawire.apiserver.cel.definitions import causes_of_rules
        from deltawire.apiserver.cel.rules import has_rules

        for path, schema in definitions.schemas_of(obj):
            causes += causes_of_rules(schema, path) if has_rules(schema) else ()
    if causes:
        raise invalid(resource, name, *causes)


def _required(resource: Resource, name: str, field: str) -> StatusError:
    return invalid(resource, name, cause(field, "Required value", "FieldValueRequired"))
