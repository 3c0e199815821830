"""Query parameters and delete bodies as the core's options, as leniently as the API server reads them."""

from collections.abc import Mapping
from typing import Any

from deltawire.apiserver.core.failures import bad_request, cause, invalid_options
from deltawire.apiserver.core.options import DeleteOptions, ListOptions, WatchOptions

LIMIT_MAX = 2**63 - 1


def flag(query: Mapping[str, str], name: str) -> bool | None:
    """A boolean parameter: everything but "0" and "false" is true, a bare name too; None if absent.

    ``watch=True`` is what kubernetes_asyncio sends (fake API server §0.4).
    """
    value = query.get(name)
    return None if value is None else value.lower() not in ("0", "false")


def number(query: Mapping[str, str], name: str) -> int:
    """A whole number ≥ 0; 0 if absent. Raises StatusError 400."""
    value = query.get(name) or "0"
    if not (value.isascii() and value.isdecimal()) or int(value[:20]) > LIMIT_MAX:
        raise bad_request(f'Invalid value: "{value[:40]}": {name} must be a whole number')
    return int(value)


def list_options(query: Mapping[str, str]) -> ListOptions:
    if flag(query, "sendInitialEvents") is not None:
        why = "Forbidden: sendInitialEvents is forbidden for list"
        raise invalid_options("ListOptions", cause("sendInitialEvents", why, "FieldValueForbidden"))
    return ListOptions(
        limit=number(query, "limit"),
        continue_token=query.get("continue", ""),
        version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
    )


def watch_options(query: Mapping[str, str]) -> WatchOptions:
    return WatchOptions(
        version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
        allow_bookmarks=bool(flag(query, "allowWatchBookmarks")),
        send_initial_events=flag(query, "sendInitialEvents"),
    )


def delete_options(query: Mapping[str, str], body: Any) -> DeleteOptions:
    """Options in the body win; the query counts only where there is no body (fake API server §0.5)."""
    if body is None:
        return DeleteOptions(
            propagation=query.get("propagationPolicy", "") or "Background", dry_run=dry_run(query)
        )
    if not isinstance(body, dict):
        raise bad_request("the body of a delete must be a DeleteOptions object")
    preconditions = body.get("preconditions") or {}
    policy = body.get("propagationPolicy") or "Background"
    if body.get("orphanDependents"):
        policy = "Orphan"
    if policy not in ("Background", "Foreground", "Orphan") or not isinstance(preconditions, dict):
        raise bad_request(f"invalid DeleteOptions: propagationPolicy {policy!r}")
    return DeleteOptions(
        uid=str(preconditions.get("uid") or ""),
        version=str(preconditions.get("resourceVersion") or ""),
        propagation=policy,
        dry_run=_is_dry_run(body.get("dryRun") or []),
    )


def dry_run(query: Mapping[str, str]) -> bool:
    value = query.get("dryRun")
    return _is_dry_run([value] if value else [])


def _is_dry_run(values: Any) -> bool:
    if values not in ([], ["All"]):
        raise bad_request(f'Invalid value: {values}: dryRun must be "All" or left out')
    return bool(values)
