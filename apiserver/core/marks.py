"""Labels, annotations and finalizers: what their names and values must look like."""

import re
from typing import Any

from deltawire.apiserver.core.failures import cause, invalid
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.rules.owners import owners

# The API server's bound on all annotations of an object together, keys and values.
ANNOTATIONS_BYTES_MAX = 256 << 10
PREFIX_CHARS_MAX = 253
PART_CHARS_MAX = 63

_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_ENDS = "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
_NAME_TOLD = (
    f"name part must consist of {_ENDS} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_TOLD = (
    f"a valid label must be an empty string or consist of {_ENDS} (e.g. 'MyValue',  or 'my_value',  or '12345', regex "
    "used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_NOT_QUALIFIED = "name is neither a standard finalizer name nor is it fully qualified"


def check_marks(resource: Resource, metadata: dict[str, Any]) -> None:
    """StatusError 422 naming every mark that is not well formed."""
    wrong = []
    for key, value in (metadata.get("labels") or {}).items():
        if (why := _name_problem(key)) is not None:
            wrong.append(cause("metadata.labels", f'Invalid value: "{key}": {why}'))
        if (why := _value_problem(value)) is not None:
            wrong.append(cause("metadata.labels", f'Invalid value: "{value}": {why}'))
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        if (why := _name_problem(key.lower())) is not None:
            wrong.append(cause("metadata.annotations", f'Invalid value: "{key}": {why}'))
    if sum(len(key) + len(value) for key, value in annotations.items()) > ANNOTATIONS_BYTES_MAX:
        told = f"Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes"
        wrong.append(cause("metadata.annotations", told, "FieldValueTooLong"))
    for position, finalizer in enumerate(metadata.get("finalizers") or ()):
        why = _name_problem(finalizer)
        if why is not None:
            wrong.append(cause("metadata.finalizers", f'Invalid value: "{finalizer}": {why}'))
        elif "/" not in finalizer and finalizer not in _FINALIZERS:
            told = f'Invalid value: "{finalizer}": {_NOT_QUALIFIED}'
            wrong.append(cause(f"metadata.finalizers[{position}]", told))
    wrong += owners(metadata.get("ownerReferences") or [])
    if wrong:
        raise invalid(resource, metadata.get("name") or "", *wrong)


def _name_problem(name: str) -> str | None:
    """What is wrong with ``part`` or ``dns.prefix/part``."""
    prefix, slash, part = name.rpartition("/")
    if slash and (len(prefix) > PREFIX_CHARS_MAX or not _PREFIX.fullmatch(prefix)):
        return "prefix part must be a lowercase RFC 1123 subdomain"
    if len(part) > PART_CHARS_MAX:
        return f"name part must be no more than {PART_CHARS_MAX} characters"
    return None if _PART.fullmatch(part) else _NAME_TOLD


def _value_problem(value: str) -> str | None:
    if len(value) > PART_CHARS_MAX:
        return f"must be no more than {PART_CHARS_MAX} characters"
    return None if not value or _PART.fullmatch(value) else _VALUE_TOLD
