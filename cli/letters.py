"""Dead letters as text for a person, as a table, and as recorded events. Pure.

Not here: asking the workers for them (``commands.dead_letters``).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from deltawire.common.errors import ConfigError
from deltawire.common.meta.keys import split_key

KINDS = {"A": "add", "U": "update", "D": "delete", "S": "resync"}
_TYPES = {"A": "added", "U": "updated", "D": "deleted", "S": "resync"}
_FIELDS = ("error", "namespace", "name", "kind")
_SHOWN_CHARS = 60

Letter = dict[str, Any]


def parse_where(texts: Sequence[str]) -> dict[str, str]:
    """``["error=KeyError", "namespace=shop-*"]`` as a map. Raises ConfigError."""
    where: dict[str, str] = {}
    for text in texts:
        field, sign, value = text.partition("=")
        if field not in _FIELDS or not sign or not value:
            raise ConfigError(
                f"--where {text!r} is not FIELD=TEXT",
                hint="error=KeyError (a part of the error), namespace=shop-*, name=web-*, kind=delete",
            )
        where[field] = value
    return where


def object_of(letter: Letter) -> str:
    """``pods/default/web``, as the commands take it; ``nodes/n1`` for what has no namespace."""
    return f"{letter['informer'].partition('/')[2]}/{letter['key']}"


def rows(letters: Iterable[Letter]) -> list[list[str]]:
    """The table of `list`, its header first."""
    found = [["HANDLER", "OBJECT", "KIND", "ATTEMPTS", "ERROR"]]
    for letter in letters:
        error = str(letter["error"]).partition("\n")[0]
        found.append(
            [
                str(letter["group"]),
                object_of(letter),
                KINDS.get(str(letter["kind"]), str(letter["kind"])),
                str(letter["attempts"]),
                error if len(error) <= _SHOWN_CHARS else error[: _SHOWN_CHARS - 1] + "…",
            ]
        )
    return found


def shown(letter: Letter) -> list[str]:
    """One dead letter in full: which object, how often it was tried, the traceback, the object."""
    cluster = letter["informer"].partition("/")[0]
    error, _, trace = str(letter["error"]).partition("\n")
    kind = KINDS.get(str(letter["kind"]), str(letter["kind"]))
    lines = [
        f"{object_of(letter)} of handler {letter['group']}",
        f"  event     {kind}, version {letter.get('version') or '?'}, uid {letter['uid']}, cluster {cluster}",
        f"  attempts  {letter['attempts']}",
        f"  error     {error}",
    ]
    lines += [f"    {line}" for line in trace.splitlines()]
    body = letter.get("object")
    if body:
        lines.append("  object")
        lines += [f"    {line}" for line in msgspec.json.format(bytes(body), indent=2).decode().splitlines()]
    else:
        lines.append("  object    not kept")
    return lines


def as_json(letter: Letter) -> bytes:
    """One line of `show --json`."""
    return msgspec.json.encode({**letter, "object": msgspec.Raw(letter.get("object") or b"null")})


def as_event(letter: Letter, number: int) -> bytes | None:
    """One line as a command reads events (docs/handlers.md §5), for `deltawire replay`; None without an object."""
    body = letter.get("object")
    if not body:
        return None
    cluster, _, resource = letter["informer"].partition("/")
    key = str(letter["key"])
    namespace, name = split_key(key if "/" in key else f"/{key}")
    return msgspec.json.encode(
        {
            "id": number,
            "type": _TYPES.get(str(letter["kind"]), "updated"),
            "resource": resource,
            "cluster": cluster,
            "key": key,
            "namespace": namespace,
            "name": name,
            "uid": letter["uid"],
            "version": letter.get("version", ""),
            "attempt": 1,
            "fence": 0,
            "flags": [],
            "object": msgspec.Raw(body),
            "old": None,
            "error": letter["error"],
        }
    )
