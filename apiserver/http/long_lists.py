"""Lists that are too long to be put together first: sent in pieces, each no larger than its bound and one object."""

import asyncio

from aiohttp import HttpVersion11, web

from deltawire.apiserver.core.lists import Page
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http.render import list_pieces

# From here on a list goes in pieces. Putting it together needs its size three times over.
LONG_BYTES_MIN = 4 << 20
PIECE_BYTES = 512 << 10


def goes_in_pieces(request: web.Request, page: Page) -> bool:
    """Only for those who understand chunks; the page's objects are sent as they are stored."""
    if request.method != "GET" or request.version < HttpVersion11:
        return False
    return sum(len(record.body) for record in page.records) >= LONG_BYTES_MIN


async def send_list(request: web.Request, resource: Resource, page: Page) -> web.StreamResponse:
    """The page as it is now, while others write: records never change."""
    response = web.StreamResponse(
        headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
    )
    response.enable_chunked_encoding()
    await response.prepare(request)
    for piece in list_pieces(resource, page, PIECE_BYTES):
        await response.write(piece)
        # write() yields only when the socket is full: let the others have a turn.
        await asyncio.sleep(0)
    await response.write_eof()
    return response
