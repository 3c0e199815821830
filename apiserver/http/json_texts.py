"""A JSON answer as Go's encoder ends it: a line of its own; indented, for people, without the last newline."""

import msgspec
from aiohttp import web

from deltawire.apiserver.http import queries

JSON = "application/json"
# How the User-Agent of tools begins whose output people read as it is.
_FOR_EYES = ("curl", "Wget", "Mozilla/5.0")


def written(body: bytes, request: web.BaseRequest) -> bytes:
    """``body``, which is JSON, as this client gets it."""
    return indented(body) if wants_indentation(request) else line(body)


def line(body: bytes) -> bytes:
    """Of lists the newline is there already: they are long, and not copied for it."""
    return body if body.endswith(b"\n") else body + b"\n"


def indented(body: bytes) -> bytes:
    return msgspec.json.format(body, indent=2)


def wants_indentation(request: web.BaseRequest) -> bool:
    """Whether to indent: by ``?pretty=``; without it, for browsers and curl."""
    asked = queries.flag(request.query, "pretty")
    if asked is None:
        return request.headers.get("User-Agent", "").startswith(_FOR_EYES)
    return asked
