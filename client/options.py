"""Options of calls as keyword arguments, and what they are called on the wire.

Pure. Every ``…Options`` is for ``**options: Unpack[…]``: an editor completes the names, mypy checks them, and
`params_of` refuses others when it runs.
"""

from collections.abc import Mapping
from typing import Any, TypedDict

from deltawire.client.rest.request import Scalar
from deltawire.common.errors import ConfigError

NOT_OLDER_THAN, EXACT = "NotOlderThan", "Exact"  # resource_version_match
BACKGROUND, FOREGROUND, ORPHAN = "Background", "Foreground", "Orphan"  # propagation_policy


class GetOptions(TypedDict, total=False):
    resource_version: str


class ListOptions(TypedDict, total=False):
    """``timeout_s`` is whole seconds, for the server and for us; the rest as in the Kubernetes API."""

    label_selector: str
    field_selector: str
    limit: int
    continue_: str
    resource_version: str
    resource_version_match: str
    timeout_s: int


class WatchOptions(TypedDict, total=False):
    """``timeout_s``: when the server ends the watch. Without one it ends it at a time of its own choice."""

    label_selector: str
    field_selector: str
    resource_version: str
    resource_version_match: str
    allow_watch_bookmarks: bool
    send_initial_events: bool
    timeout_s: int


class WriteOptions(TypedDict, total=False):
    """``field_validation`` is ``Strict``, ``Warn`` or ``Ignore``."""

    dry_run: bool
    field_manager: str
    field_validation: str


class PatchOptions(WriteOptions, total=False):
    """``force`` takes fields from other managers: for apply only."""

    force: bool


class ApplyOptions(TypedDict, total=False):
    dry_run: bool
    field_validation: str


class DeleteOptions(TypedDict, total=False):
    """``uid`` and ``resource_version`` are preconditions: another object of the name is left alone (409)."""

    grace_period_s: int
    propagation_policy: str
    dry_run: bool
    uid: str
    resource_version: str


_WIRE_NAMES = {
    "label_selector": "labelSelector",
    "field_selector": "fieldSelector",
    "limit": "limit",
    "continue_": "continue",
    "resource_version": "resourceVersion",
    "resource_version_match": "resourceVersionMatch",
    "allow_watch_bookmarks": "allowWatchBookmarks",
    "send_initial_events": "sendInitialEvents",
    "timeout_s": "timeoutSeconds",
    "field_manager": "fieldManager",
    "field_validation": "fieldValidation",
    "force": "force",
}


def params_of(options: Mapping[str, Any], allowed: type) -> dict[str, Scalar | None]:
    """The query for ``options``, which are an ``allowed`` (one of the classes above). Raises ConfigError."""
    _check(options, allowed)
    params: dict[str, Scalar | None] = {}
    for name, value in options.items():
        if name == "dry_run":
            params["dryRun"] = "All" if value else None
        elif value is not None:
            params[_WIRE_NAMES[name]] = value
    if params.get("timeoutSeconds"):
        params["timeout"] = f"{params['timeoutSeconds']}s"
    return params


def delete_body(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """DeleteOptions as a body; None where there is nothing to say. Raises ConfigError."""
    _check(options, DeleteOptions)
    preconditions = {
        wire: options[name]
        for name, wire in (("uid", "uid"), ("resource_version", "resourceVersion"))
        if options.get(name)
    }
    body = {
        "gracePeriodSeconds": options.get("grace_period_s"),
        "propagationPolicy": options.get("propagation_policy"),
        "dryRun": ["All"] if options.get("dry_run") else None,
        "preconditions": preconditions or None,
    }
    said = {name: value for name, value in body.items() if value is not None}
    return {"kind": "DeleteOptions", "apiVersion": "v1", **said} if said else None


def _check(options: Mapping[str, Any], allowed: type) -> None:
    names = allowed.__annotations__
    for name in options:
        if name not in names:
            raise ConfigError(f"there is no option {name!r} here", hint=f"known are {', '.join(names)}")
