"""The Authorization header of each request, read again where it may have been rotated."""

import base64
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from deltawire.client.config.client_config import ClientConfig
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError

log = logging.getLogger(__name__)

# A token read from a file is used for a minute, less ten seconds in hand.
TOKEN_FILE_REREAD_S = 50.0


class Credentials(Protocol):
    """The identity of requests."""

    def headers(self) -> Mapping[str, str]:
        """Headers that prove it, fresh for one request."""

    def certificate(self) -> tuple[bytes, bytes] | None:
        """A client certificate and its key in PEM, where they come with the credentials; else None."""

    def invalidate(self, refused: Mapping[str, str] | None = None) -> bool:
        """The server said 401 to the headers ``refused``. True if the next ones may be others, so that a
        retry makes sense."""


class FixedHeaders:
    """Credentials that never change: anonymous, an inline token, a user's name and password."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    def headers(self) -> Mapping[str, str]:
        return self._headers

    def certificate(self) -> tuple[bytes, bytes] | None:
        return None

    def invalidate(self, refused: Mapping[str, str] | None = None) -> bool:
        return False


class TokenFile:
    """A bearer token in a file that its owner rotates, as service account tokens are.

    The first read must succeed (unless an inline token stands in for it); a later failure keeps the last
    token and is logged once per failure. Safe to use from many threads.
    """

    def __init__(self, path: str, *, initial: str = "", clock: Clock | None = None) -> None:
        self._path = Path(path)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._token = initial
        self._read_at_s: float | None = None
        with self._lock:
            self._reread_locked()

    def headers(self) -> Mapping[str, str]:
        with self._lock:
            if self._read_at_s is None or self._clock.now_s() - self._read_at_s >= TOKEN_FILE_REREAD_S:
                self._reread_locked()
            return {"Authorization": f"Bearer {self._token}"}

    def certificate(self) -> tuple[bytes, bytes] | None:
        return None

    def invalidate(self, refused: Mapping[str, str] | None = None) -> bool:
        with self._lock:
            before = (refused or {}).get("Authorization", f"Bearer {self._token}")
            self._reread_locked()
            return before != f"Bearer {self._token}"

    def _reread_locked(self) -> None:
        try:
            self._token = checked_token(self._path.read_text(encoding="utf-8").strip(), str(self._path))
        except (OSError, UnicodeDecodeError, ConfigError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else exc
            if not self._token:
                raise ConfigError(f"the token file {self._path} cannot be used: {why}") from None
            log.warning("the token file %s cannot be used, the last token is kept: %s", self._path, why)
        self._read_at_s = self._clock.now_s()


def checked_token(token: str, where: str) -> str:
    """``token`` if it can travel in a header. The error never shows the token itself."""
    if not token:
        raise ConfigError("the token is empty", path=where)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError("the token holds characters that no bearer token has", path=where)
    return token


def credentials_of(config: ClientConfig, *, clock: Clock | None = None) -> Credentials:
    """What ``config`` says: token file, inline token, basic, else the exec plug-in or the OIDC provider, else
    nothing (also a client certificate's case: it is in the TLS context).

    Raises ConfigError for a token that cannot be read, and for token and basic together.
    """
    has_token = bool(config.token or config.token_file)
    if has_token and config.username:
        raise ConfigError(
            "both a token and a user name are given", path=config.source, hint="keep one of the two"
        )
    if config.token_file:
        return TokenFile(config.token_file, initial=config.token, clock=clock)
    if config.token:
        # A header's value has no spaces at its end.
        token = checked_token(config.token.rstrip(" \t"), config.source)
        return FixedHeaders({"Authorization": f"Bearer {token}"})
    if config.username:
        pair = f"{config.username}:{config.password}".encode()
        return FixedHeaders({"Authorization": "Basic " + base64.b64encode(pair).decode()})
    if config.cert_data or config.cert_file:
        return FixedHeaders({})
    # Imported when used: processes and identity providers cost 20 ms that a token or a certificate saves.
    if config.exec_plugin is not None:
        from deltawire.client.auth.exec_plugin import exec_credentials
        from deltawire.client.auth.plugin_policy import check_allowed

        check_allowed(config.exec_plugin.command, config.exec_allowed, config.exec_plugin.where)
        return exec_credentials(config.exec_plugin, config, clock or SystemClock())
    if config.oidc is not None:
        from deltawire.client.auth.oidc import oidc_credentials

        return oidc_credentials(config.oidc, clock or SystemClock())
    return FixedHeaders({})
