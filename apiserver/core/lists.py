"""Lists: at which version, which page of it, and how to go on.

A list at an earlier version is today's table with the later events undone, as long as the window still has
them. All pages of one list show the version of its first page.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from deltawire.apiserver.core import failures
from deltawire.apiserver.core.options import EXACT, NOT_OLDER_THAN, ListOptions, parse_version
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.selection import Selection
from deltawire.apiserver.core.store import Store, Table
from deltawire.common.errors import StatusError

_INCONSISTENT = -1


@dataclass(frozen=True, slots=True)
class Page:
    """``remaining`` is the number of objects on later pages, None where selectors make it unknown."""

    records: list[Record]
    version: int
    continue_token: str = ""
    remaining: int | None = None


class _Token(msgspec.Struct):
    """What a continue token carries: the version of the first page and the first key still to come."""

    rv: int
    start: str
    v: str = "meta.k8s.io/v1"


# Made here, and not by the first requests that need it at once: msgspec crashes where two threads learn a class.
_token_of = msgspec.json.Decoder(_Token).decode


class _View:
    """A table as it was at one version."""

    def __init__(self, table: Table, namespace: str, version: int) -> None:
        self._records = table.records
        self._undone: dict[str, Record | None] = {}
        for event in table.window.newest_first(above=version):
            self._undone[event.record.key] = event.old
        keys: Sequence[str] = table.keys_of(namespace)
        if self._undone:
            prefix = f"{namespace}/" if namespace else ""
            back = {k for k, old in self._undone.items() if old is not None and k.startswith(prefix)}
            gone = {k for k, old in self._undone.items() if old is None}
            keys = sorted((set(keys) | back) - gone)
        self.keys = keys

    def record(self, key: str) -> Record:
        return self._undone.get(key) or self._records[key]


def list_page(store: Store, table: Table, selection: Selection, options: ListOptions) -> Page:
    """One page of a list. Raises StatusError: 400, 410 (`ExpiredContinue` for tokens), 422, 504."""
    version, start = _where(store, table, options)
    view = _View(table, selection.namespace, version)
    picks = not selection.labels.is_everything or not selection.fields.is_everything or selection.name
    records: list[Record] = []
    position = bisect_left(view.keys, start) if start else 0
    while position < len(view.keys):
        key = view.keys[position]
        record = view.record(key)
        if not picks or selection.matches(record):
            if options.limit and len(records) == options.limit:
                token = _encode_token(version, f"{records[-1].key}\0")
                remaining = None if picks else len(view.keys) - position
                return Page(records, version, token, remaining)
            records.append(record)
        position += 1
    return Page(records, version)


def _where(store: Store, table: Table, options: ListOptions) -> tuple[int, str]:
    """The version to show and the key to start at."""
    if options.continue_token:
        return _continued(store, table, options)
    _check(options)
    asked = _version(options.version)
    if asked > store.version:
        raise failures.too_large(asked, store.version)
    # Without a match rule, a limit makes a version exact: the behaviour from before the rule existed.
    is_exact = options.match == EXACT or (not options.match and options.limit > 0 and asked > 0)
    if not is_exact:
        return store.version, ""
    if asked < table.window.floor:
        raise failures.too_old_list(asked, table.window.floor)
    return asked, ""


def _version(text: str) -> int:
    """The error of a list for a bad version has another text. Raises StatusError 400."""
    try:
        return parse_version(text)
    except StatusError as error:
        raise failures.bad_request(f"invalid resource version: {error.message}") from None


def _continued(store: Store, table: Table, options: ListOptions) -> tuple[int, str]:
    if options.match:
        raise failures.invalid_options(
            "ListOptions",
            failures.cause(
                "resourceVersionMatch",
                "Forbidden: resourceVersionMatch is forbidden for continue",
                "FieldValueForbidden",
            ),
        )
    if options.version not in ("", "0"):
        raise failures.bad_request("specifying resource version is not allowed when using continue")
    token = _decode_token(options.continue_token)
    if token.rv == _INCONSISTENT:
        return store.version, token.start
    if token.rv > store.version:
        raise failures.bad_request("continue key is not valid: its version is not of this server")
    if token.rv < table.window.floor:
        raise failures.ExpiredContinue(_encode_token(_INCONSISTENT, token.start))
    return token.rv, token.start


def _check(options: ListOptions) -> None:
    if not options.match:
        return
    why = ""
    if not options.version:
        why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif options.match not in (EXACT, NOT_OLDER_THAN):
        why = f'Unsupported value: "{options.match}": supported values: "Exact", "NotOlderThan"'
    elif options.match == EXACT and options.version == "0":
        why = 'Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
    if why:
        reason = "FieldValueNotSupported" if why.startswith("Unsupported") else "FieldValueForbidden"
        raise failures.invalid_options("ListOptions", failures.cause("resourceVersionMatch", why, reason))


def _encode_token(version: int, start: str) -> str:
    return urlsafe_b64encode(msgspec.json.encode(_Token(version, start))).rstrip(b"=").decode()


def _decode_token(text: str) -> _Token:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return _token_of(urlsafe_b64decode(padded))
    except (ValueError, msgspec.MsgspecError) as error:
        raise failures.bad_request(
            f"invalid continue token: continue key is not valid: {_why(text, error)}"
        ) from None


def _why(text: str, error: Exception) -> str:
    """Go's words where what is in the token is no JSON."""
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode("utf-8", "replace")
    except ValueError:
        return str(error)
    return (
        f"invalid character '{raw[0]}' looking for beginning of value"
        if raw and raw[0] not in "{["
        else str(error)
    )
