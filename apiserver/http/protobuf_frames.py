"""A watch in protobuf: the lines of the one in JSON, written anew as frames.

Few clients take nothing else, so that no bytes are kept for them.
"""

from typing import Any

import msgspec
from aiohttp import web

from deltawire.apiserver.http.negotiate import PROTOBUF_TYPE
from deltawire.apiserver.protobuf.encode import encode_event

_decode = msgspec.json.Decoder().decode


class _Frames(web.StreamResponse):
    """Takes whole lines of JSON. What is none (a fault sends garbage on purpose) is sent as it is."""

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await super().write(b"".join([_frame(line) for line in bytes(data).splitlines(keepends=True)]))


async def open_protobuf(request: web.Request) -> web.StreamResponse:
    """The head of a watch in protobuf, sent at once."""
    content_type = f"{PROTOBUF_TYPE};stream=watch"
    response = _Frames(headers={"Content-Type": content_type, "Cache-Control": "no-cache, private"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    return response


def _frame(line: bytes) -> bytes:
    try:
        event: Any = _decode(line)
        return encode_event(event["type"], event["object"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return line
