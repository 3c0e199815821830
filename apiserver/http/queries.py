"""Query parameters and delete bodies as the core's options, as leniently as the API server reads them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from deltawire.apiserver.core.failures import bad_request, cause, invalid_options
from deltawire.apiserver.core.options import DeleteOptions, ListOptions, WatchOptions

LIMIT_MAX = 2**63 - 1
_POLICIES = ("Foreground", "Background", "Orphan")
_DELETE_OPTIONS = ("", "DeleteOptions")


def flag(query: Mapping[str, str], name: str) -> bool | None:
    """A boolean parameter: everything but "0" and "false" is true, a bare name too; None if absent.

    ``watch=True`` is what kubernetes_asyncio sends.
    """
    value = query.get(name)
    return None if value is None else value.lower() not in ("0", "false")


def number(query: Mapping[str, str], name: str) -> int:
    """A whole number ≥ 0; 0 if absent. Raises StatusError 400."""
    value = query.get(name) or "0"
    if not (value.isascii() and value.isdecimal()) or int(value[:20]) > LIMIT_MAX:
        raise bad_request(f'strconv.ParseInt: parsing "{value[:40]}": invalid syntax')
    return int(value)


def list_options(query: Mapping[str, str]) -> ListOptions:
    if flag(query, "sendInitialEvents") is not None:
        why = "Forbidden: sendInitialEvents is forbidden for list"
        raise invalid_options("ListOptions", cause("sendInitialEvents", why, "FieldValueForbidden"))
    return ListOptions(
        # A negative limit is none.
        limit=0 if query.get("limit", "").startswith("-") else number(query, "limit"),
        continue_token=query.get("continue", ""),
        version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
    )


def watch_options(query: Mapping[str, str]) -> WatchOptions:
    if query.get("continue"):
        why = "Forbidden: resourceVersionMatch is forbidden when continue is provided"
        raise invalid_options("ListOptions", cause("resourceVersionMatch", why, "FieldValueForbidden"))
    return WatchOptions(
        version=query.get("resourceVersion", ""),
        match=query.get("resourceVersionMatch", ""),
        allow_bookmarks=bool(flag(query, "allowWatchBookmarks")),
        send_initial_events=flag(query, "sendInitialEvents"),
    )


def delete_options(query: Mapping[str, str], body: Any) -> DeleteOptions:
    """Options in the body win; the query counts only where there is no body."""
    if body is None:
        dry = query.get("dryRun")
        body = {"propagationPolicy": query.get("propagationPolicy"), "dryRun": [dry] if dry else []}
        if query.get("gracePeriodSeconds"):
            body["gracePeriodSeconds"] = number(query, "gracePeriodSeconds")
    if not isinstance(body, dict) or not isinstance(body.get("preconditions") or {}, dict):
        raise bad_request("the body of a delete must be a DeleteOptions object")
    if body.get("kind", "") not in _DELETE_OPTIONS:
        told = f"expected kind DeleteOptions, but got {body['kind']}"
        raise bad_request(told)
    preconditions = body.get("preconditions") or {}
    policy = body.get("propagationPolicy") or ""
    causes = []
    if body.get("orphanDependents") is not None and policy:
        told = f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be both set'
        causes.append(cause("propagationPolicy", told))
    if policy not in ("", *_POLICIES):
        causes.append(not_supported("propagationPolicy", policy, (*_POLICIES, "nil")))
    if (why := dry_run_problem(body.get("dryRun") or [])) is not None:
        causes.append(why)
    if causes:
        raise invalid_options("DeleteOptions", *causes)
    return DeleteOptions(
        uid=str(preconditions.get("uid") or ""),
        version=str(preconditions.get("resourceVersion") or ""),
        propagation=policy or ("Orphan" if body.get("orphanDependents") else "Background"),
        dry_run=bool(body.get("dryRun")),
        grace_s=grace_s if isinstance(grace_s := body.get("gracePeriodSeconds"), int) else None,
    )


def dry_run(query: Mapping[str, str]) -> bool:
    return bool(query.get("dryRun"))


def dry_run_problem(values: Any) -> dict[str, str] | None:
    """What is wrong with ``dryRun``, which may be left out or be "All"."""
    given = [value for value in values if value] if isinstance(values, list) else [values]
    if set(map(str, given)) <= {"All"}:
        return None
    return not_supported("dryRun", given, ("All",))


def not_supported(field: str, value: Any, supported: tuple[str, ...]) -> dict[str, str]:
    """The cause for a value that is not one of those known."""
    listed = ", ".join(f'"{known}"' for known in supported)
    shown = msgspec.json.encode(value).decode()
    told = f"Unsupported value: {shown}: supported values: {listed}"
    return cause(field, told, "FieldValueNotSupported")
