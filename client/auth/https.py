"""Small requests to an identity provider: https only, one answer in memory, no retries."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote, urlsplit

import urllib3
import urllib3.exceptions

from deltawire.client.auth.tls import ssl_context_of
from deltawire.client.config.client_config import ClientConfig, without_userinfo
from deltawire.client.config.identity import OidcProvider
from deltawire.client.config.proxies import proxy_for
from deltawire.common.errors import ConfigError, CredentialsError

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """``body`` may hold secrets."""

    code: int
    body: bytes


class Fetch(Protocol):
    """Sends one request to an identity provider. Raises CredentialsError where no answer comes."""

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer: ...


def fetcher(provider: OidcProvider) -> Fetch:
    """Requests that trust the provider's CA. Raises ConfigError for a CA that cannot be used."""
    context = ssl_context_of(
        ClientConfig(
            provider.issuer_url, ca_file=provider.ca_file, ca_data=provider.ca_data, source=provider.file
        )
    )

    def fetch(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        shown = without_userinfo(url).partition("?")[0]
        if not url.lower().startswith("https://"):
            raise CredentialsError(
                f"the identity provider's URL {shown} is not https: no token is sent there"
            )
        pool = _pool(proxy_for(url, os.environ), context)
        try:
            response = pool.request(
                method,
                url,
                headers=dict(headers),
                body=body,
                retries=False,
                redirect=False,
                timeout=TIMEOUT_S,
                preload_content=False,
            )
            try:
                found = Answer(response.status, response.read(ANSWER_BYTES_MAX))
            finally:
                response.close()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise CredentialsError(
                f"the identity provider {shown} gives no answer: {_cause(error)}"
            ) from error
        finally:
            pool.clear()
        return found

    return fetch


def _pool(proxy: str, context: ssl.SSLContext) -> urllib3.PoolManager:
    """Connections straight there, or through ``proxy``. Raises ConfigError where the package for SOCKS is missing."""
    if not proxy:
        return urllib3.PoolManager(ssl_context=context)
    if proxy.startswith("socks"):
        try:
            from urllib3.contrib.socks import SOCKSProxyManager
        except ImportError:
            raise ConfigError(
                "a SOCKS proxy is set, and the package for it is not installed",
                path="the environment",
                hint="pip install PySocks, or use an http proxy",
            ) from None
        return SOCKSProxyManager(proxy, ssl_context=context)
    user = urlsplit(proxy)
    pair = f"{unquote(user.username or '')}:{unquote(user.password or '')}"
    headers = urllib3.make_headers(proxy_basic_auth=pair) if user.username else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, ssl_context=context)


def _cause(error: BaseException) -> str:
    """The innermost reason, without the addresses of objects that urllib3 puts in front."""
    while error.__cause__ is not None:
        error = error.__cause__
    reason = getattr(error, "reason", None)
    inner = reason if isinstance(reason, BaseException) else error
    return getattr(inner, "strerror", None) or getattr(inner, "verify_message", None) or type(inner).__name__
