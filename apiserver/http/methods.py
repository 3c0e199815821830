"""A request with a method that is none of HTTP's is answered as real servers do: 405, as a Status.

The parser refuses it before anything of this server is asked. All that aiohttp offers is its own error page, so
its connections get another class that makes ours.
"""

from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod
from aiohttp.web_protocol import RequestHandler

from deltawire.apiserver.core.failures import method_not_allowed, status_of
from deltawire.apiserver.http.json_texts import line


class _Connection(RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, BadHttpMethod):
            body = line(msgspec.json.encode(status_of(method_not_allowed())))
            answer = web.Response(
                body=body,
                status=HTTPStatus.METHOD_NOT_ALLOWED,
                headers={"Content-Type": "application/json"},
            )
            answer.force_close()
            return answer
        return super().handle_error(request, status, exc, message)


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        connection = super().__call__()
        connection.__class__ = _Connection
        return connection


class Runner(web.AppRunner):
    """As aiohttp's, except for unknown methods."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        server.__class__ = _Server
        return server
