"""aiohttp's exceptions as ours. Pure."""

import aiohttp

from deltawire.client.rest.failures import transport_error
from deltawire.common.errors import TransportError

# What aiohttp raises. ValueError: for a header or URL that it will not send.
FOREIGN = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


def error_of(exc: BaseException, origin: str) -> TransportError:
    """The error for a request that got no whole answer."""
    if isinstance(exc, aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError):
        return TransportError(f"the proxy on the way to {origin} refused the connection", reason="proxy")
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        return TransportError(f"{origin} did not accept the connection in time", reason="timeout")
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return transport_error(exc.certificate_error, origin)
    if isinstance(exc, aiohttp.ClientPayloadError) and _is_unpacking(exc):
        return TransportError(f"{origin} sent an answer that cannot be unpacked", reason="garbage")
    found = transport_error(exc, origin)
    is_cut = isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError)
    if not found.reason and (is_cut or isinstance(exc, aiohttp.ClientResponseError)):
        return TransportError(f"{origin} cut the connection", reason="reset")
    return found


def _is_unpacking(exc: BaseException) -> bool:
    link: BaseException | None = exc
    while link is not None:
        if isinstance(link, aiohttp.http_exceptions.ContentEncodingError):
            return True
        link = link.__cause__ or link.__context__
    return False
