"""Calling a webhook over TLS: where it is, whom to trust, how long to wait."""

import asyncio
import os
import posixpath
import ssl
from base64 import b64decode
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit, urlunsplit

import aiohttp
import msgspec

from deltawire.apiserver.core.store import Store

Tree = dict[str, Any]

ANSWER_BYTES_MAX = 3 << 20
TIMEOUT_DEFAULT_S = 10
TIMEOUT_MAX_S = 30
# What is at hand after the handshake of the first call: contexts by the CA that they trust.
_CONTEXTS_MAX = 64


class CallFailed(Exception):
    """The call failed: no answer, or not one of a webhook."""


class Place(NamedTuple):
    """``url`` is shown in errors, ``address`` is connected to; ``name`` is the one in the certificate."""

    url: str
    address: str
    name: str = ""


def place_of(store: Store, config: Tree) -> Place:
    """Where a ``clientConfig`` leads. Raises CallFailed for a service that does not exist or has no endpoints."""
    service = config.get("service")
    if not service:
        parts = urlsplit(str(config.get("url") or ""))
        url = urlunsplit(parts._replace(path=_cleaned(parts.path)))
        return Place(url, url)
    name, namespace = str(service.get("name", "")), str(service.get("namespace", ""))
    port, path = int(service.get("port") or 443), str(service.get("path") or "/")
    host = f"{name}.{namespace}.svc"
    path = _cleaned(path)
    url = f"https://{host}:{port}{path}"
    return Place(url, f"https://{_behind(store, name, namespace, port)}{path}", host)


def _cleaned(path: str) -> str:
    """As client-go joins paths: one slash at the front, none doubled or at the end, no dots."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _behind(store: Store, name: str, namespace: str, port: int) -> str:
    """``HOST:PORT`` of the first endpoint of a service."""
    record = store.table("services").records.get(f"{namespace}/{name}")
    if record is None:
        raise CallFailed(f'service "{name}" not found')
    spec = record.decode().get("spec") or {}
    ports = spec.get("ports") or ()
    served = next((entry for entry in ports if entry.get("port") == port), None)
    if served is None:
        raise CallFailed(f'no service port {port} found for service "{name}"')
    if spec.get("type") == "ExternalName":
        return f"{spec.get('externalName', '')}:{port}"
    slices = store.table("endpointslices.discovery.k8s.io")
    for key in slices.keys_of(namespace):
        piece = slices.records[key].decode()
        if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != name:
            continue
        number = next(
            (p.get("port") for p in piece.get("ports") or () if p.get("name", "") == served.get("name", "")),
            None,
        )
        for endpoint in piece.get("endpoints") or ():
            is_ready = (endpoint.get("conditions") or {}).get("ready") is not False
            if number and is_ready and endpoint.get("addresses"):
                return f"{endpoint['addresses'][0]}:{number}"
    raise CallFailed(f'no endpoints available for service "{name}"')


async def post(place: Place, config: Tree, body: Tree, timeout_s: float) -> bytes:
    """The answer to ``body``. Raises CallFailed with the words of Go's client."""
    shown = with_timeout(place.url, timeout_s)
    begins = f'failed to call webhook: Post "{shown}": '
    try:
        context = context_of(str(config.get("caBundle") or ""))
    except (ValueError, ssl.SSLError):
        raise CallFailed(
            f"{begins}unable to load root certificates: unable to parse bytes as PEM block"
        ) from None
    try:
        async with (
            asyncio.timeout(timeout_s),
            aiohttp.ClientSession() as session,
            session.post(
                with_timeout(place.address, timeout_s),
                data=msgspec.json.encode(body),
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                ssl=context,
                server_hostname=place.name or None,
                allow_redirects=False,
            ) as response,
        ):
            answer = await response.content.read(ANSWER_BYTES_MAX + 1)
            while not response.content.at_eof() and len(answer) <= ANSWER_BYTES_MAX:
                answer += await response.content.read(ANSWER_BYTES_MAX + 1 - len(answer))
    except TimeoutError:
        raise CallFailed(f"{begins}context deadline exceeded") from None
    except aiohttp.ClientConnectorCertificateError as error:
        why = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        raise CallFailed(f"{begins}tls: failed to verify certificate: x509: {why}") from None
    except aiohttp.ClientConnectorError as error:
        raise CallFailed(f"{begins}dial tcp {error.host}:{error.port}: connect: {_reason(error)}") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise CallFailed(f"{begins}{str(error) or 'EOF'}") from None
    if len(answer) > ANSWER_BYTES_MAX:
        raise CallFailed(f"failed to call webhook: the answer exceeds {ANSWER_BYTES_MAX} bytes")
    if response.status not in range(200, 300):
        told = f"an error on the server ({answer[:200].decode('utf-8', 'replace').strip()!r}) has prevented the request"
        raise CallFailed(f"failed to call webhook: {told} from succeeding (code {response.status})")
    return answer


def with_timeout(url: str, timeout_s: float) -> str:
    """The webhook is told how long it has."""
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}{urlencode({'timeout': f'{timeout_s:g}s'})}"))


def _reason(error: aiohttp.ClientConnectorError) -> str:
    number = error.os_error.errno
    return os.strerror(number).lower() if number is not None and number > 0 else str(error.os_error)


@lru_cache(maxsize=_CONTEXTS_MAX)
def context_of(bundle: str) -> ssl.SSLContext:
    """Trusts a ``caBundle``, or what the machine trusts. Raises ValueError, ssl.SSLError."""
    if not bundle:
        return ssl.create_default_context()
    context = ssl.create_default_context(cadata=b64decode(bundle).decode("ascii"))
    # As in Go, whatever is in the bundle is trusted: also a server's own certificate, or an authority between.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
