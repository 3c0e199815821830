"""Labels, annotations and finalizers: what their names and values must look like."""

from typing import Any

from deltawire.apiserver.core.failures import cause, invalid
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.rules.forms import label_key, label_value
from deltawire.apiserver.rules.owners import owners

# The API server's bound on all annotations of an object together, keys and values.
ANNOTATIONS_BYTES_MAX = 256 << 10

_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_NOT_QUALIFIED = "name is neither a standard finalizer name nor is it fully qualified"


def check_marks(resource: Resource, metadata: dict[str, Any]) -> None:
    """StatusError 422 naming every mark that is not well formed."""
    wrong = []
    for key, value in (metadata.get("labels") or {}).items():
        wrong += [cause("metadata.labels", f'Invalid value: "{key}": {why}') for why in label_key(key)]
        wrong += [cause("metadata.labels", f'Invalid value: "{value}": {why}') for why in label_value(value)]
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        for why in label_key(key.lower()):
            wrong.append(cause("metadata.annotations", f'Invalid value: "{key}": {why}'))
    if sum(len(key) + len(value) for key, value in annotations.items()) > ANNOTATIONS_BYTES_MAX:
        told = f"Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes"
        wrong.append(cause("metadata.annotations", told, "FieldValueTooLong"))
    for position, finalizer in enumerate(metadata.get("finalizers") or ()):
        if whys := label_key(finalizer):
            wrong += [cause("metadata.finalizers", f'Invalid value: "{finalizer}": {why}') for why in whys]
        elif "/" not in finalizer and finalizer not in _FINALIZERS:
            told = f'Invalid value: "{finalizer}": {_NOT_QUALIFIED}'
            wrong.append(cause(f"metadata.finalizers[{position}]", told))
    wrong += owners(metadata.get("ownerReferences") or [])
    if wrong:
        raise invalid(resource, metadata.get("name") or "", *wrong)
