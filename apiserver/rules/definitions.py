"""Rules of CustomResourceDefinitions: versions, approval of protected groups, structural schemas."""

from collections.abc import Iterator

from deltawire.apiserver.rules.causes import (
    Causes,
    ChangeRule,
    Tree,
    forbidden,
    immutable,
    invalid,
    look,
    required,
    unsupported,
)
from deltawire.apiserver.rules.schema_forms import causes_of_forms
from deltawire.apiserver.rules.structural import causes_of_structure

_APPROVAL = "api-approved.kubernetes.io"
_APPROVED_BY = (
    f'protected groups must have approval annotation "{_APPROVAL}", see '
    "https://github.com/kubernetes/enhancements/pull/1111"
)
_PROTECTED = ("k8s.io", "kubernetes.io")
# A version as Go writes its internal type.
_INTERNAL = {
    "Name": "name",
    "Served": "served",
    "Storage": "storage",
    "Deprecated": "deprecated",
    "DeprecationWarning": "deprecationWarning",
    "Schema": "",
    "Subresources": "",
    "AdditionalPrinterColumns": "",
    "SelectableFields": "",
}
_FLAGS = ("Served", "Storage", "Deprecated")


def approval(obj: Tree) -> Causes:
    group = str(look(obj, "spec.group") or "")
    is_protected = any(group == known or group.endswith(f".{known}") for known in _PROTECTED)
    if is_protected and not (obj["metadata"].get("annotations") or {}).get(_APPROVAL):
        yield required(f"metadata.annotations[{_APPROVAL}]", _APPROVED_BY)


def versions(obj: Tree) -> Causes:
    known = look(obj, "spec.versions") or []
    stored = [version.get("name") for version in known if version.get("storage")]
    if len(stored) != 1:
        shown = [_internal(version) for version in known]
        yield invalid("spec.versions", shown, "must have exactly one version marked as storage version")
    elif len({version.get("name") for version in known}) < len(known):
        yield invalid(
            "spec.versions", [_internal(version) for version in known], "must contain unique version names"
        )
    earlier = look(obj, "status.storedVersions")
    if not earlier and not stored:
        yield invalid("status.storedVersions", None, "must have at least one stored version")
    names = [version.get("name") for version in known]
    for position, name in enumerate(earlier or ()):
        if name not in names:
            told = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            yield invalid(f"status.storedVersions[{position}]", name, told)


def _internal(version: Tree) -> Tree:
    return {
        inside: version.get(name, False if inside in _FLAGS else None) if name else None
        for inside, name in _INTERNAL.items()
    }


def schemas_of(obj: Tree) -> Iterator[tuple[str, Tree]]:
    """The schemas of all versions, each with its path."""
    known = look(obj, "spec.versions") or []
    schemas = [look(version, "schema.openAPIV3Schema") for version in known]
    if schemas and isinstance(schemas[0], dict) and all(schema == schemas[0] for schema in schemas):
        # One that all versions have is reported once.
        yield "spec.validation.openAPIV3Schema", schemas[0]
        return
    for position, schema in enumerate(schemas):
        if isinstance(schema, dict):
            yield f"spec.versions[{position}].schema.openAPIV3Schema", schema


def structure(obj: Tree) -> Causes:
    """Every schema is structural, and says nothing that contradicts itself."""
    for path, schema in schemas_of(obj):
        yield from causes_of_structure(schema, path)
        yield from causes_of_forms(schema, path)


def conversion(obj: Tree) -> Causes:
    """Versions are alike, or a webhook converts between them. Problems name the fields of Go's internal type."""
    given = look(obj, "spec.conversion") or {}
    strategy, webhook = given.get("strategy"), given.get("webhook") or {}
    if strategy not in ("None", "Webhook"):
        yield unsupported("spec.conversion.strategy", strategy, ("None", "Webhook"))
        return
    config, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    at = "spec.conversion.webhookClientConfig"
    if strategy == "None":
        why = "should not be set when strategy is not set to Webhook"
        if config:
            yield forbidden(at, why)
        if versions:
            yield forbidden("spec.conversion.conversionReviewVersions", why)
        return
    if config is None:
        yield required(at, "required when strategy is set to Webhook")
    elif (config.get("url") is None) is (config.get("service") is None):
        yield required(at, "exactly one of url or service is required")
    elif config.get("url") is not None and not config["url"].startswith("https://"):
        why = "'https' is the only allowed URL scheme; desired format: https://host[/path]"
        yield invalid(f"{at}.url", config["url"].partition(":")[0], why)
    if not versions:
        yield required("spec.conversion.conversionReviewVersions")
    elif not any(version in ("v1", "v1beta1") for version in versions):
        yield invalid(
            "spec.conversion.conversionReviewVersions", versions, "must include at least one of v1, v1beta1"
        )


CHANGES: tuple[ChangeRule, ...] = (immutable("spec.scope"), immutable("spec.group"))
