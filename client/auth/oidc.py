"""Tokens of an OpenID Connect provider: used while they are good, renewed with the refresh token.

Many processes may share one kubeconfig, and a refresh token often works only once. So a renewal takes the
file's lock, looks whether another process has renewed meanwhile, and writes before it uses.
"""

import base64
import binascii
import contextlib
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote_plus, urlencode

import msgspec

from deltawire.client.auth.https import Answer, Fetch, fetcher
from deltawire.client.config import kubeconfig_write
from deltawire.client.config.identity import OidcProvider
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import CredentialsError

# A token that ends within this time is renewed first: it must outlive the request.
RENEW_BEFORE_S = 10.0
_REASON_CHARS_MAX = 200


class _Claims(msgspec.Struct):
    exp: float


class _Discovery(msgspec.Struct):
    token_endpoint: str | None = None


class _Tokens(msgspec.Struct):
    id_token: str | None = None
    refresh_token: str | None = None
    error: str | None = None
    error_description: str | None = None


# Made here, and not by the first threads that need them at once (client/rest/decode).
_claims = msgspec.json.Decoder(_Claims).decode
_discovery = msgspec.json.Decoder(_Discovery).decode
_tokens = msgspec.json.Decoder(_Tokens).decode


class OidcCredentials:
    """The id token of one user. Safe to use from many threads; one of them renews.

    `headers` raises CredentialsError where there is no good token and none can be had.
    """

    def __init__(self, provider: OidcProvider, *, clock: Clock, fetch: Fetch | None = None) -> None:
        self._provider = provider
        self._clock = clock
        self._fetch = fetch or fetcher(provider)
        self._lock = threading.Lock()
        self._id_token = provider.id_token
        self._refresh_token = provider.refresh_token
        self._is_refused = False

    def headers(self) -> Mapping[str, str]:
        with self._lock:
            if self._is_refused or not self._is_good(self._id_token):
                self._renew_locked()
                self._is_refused = False
            return {"Authorization": f"Bearer {self._id_token}"}

    def certificate(self) -> tuple[bytes, bytes] | None:
        return None

    def invalidate(self, refused: Mapping[str, str] | None = None) -> bool:
        with self._lock:
            if refused and refused.get("Authorization") != f"Bearer {self._id_token}":
                return True  # another thread has renewed meanwhile
            self._is_refused = bool(self._refresh_token)
            return self._is_refused

    def _is_good(self, token: str) -> bool:
        return bool(token) and expires_at_s(token) > self._clock.wall_s() + RENEW_BEFORE_S

    def _renew_locked(self) -> None:
        provider = self._provider
        file = Path(provider.file) if provider.file else None
        with kubeconfig_write.locked(file, self._clock) if file else contextlib.nullcontext():
            if file and self._take_what_another_renewed(file):
                return
            if not self._refresh_token:
                raise CredentialsError(
                    f"the id token of the user {provider.user!r} has expired, and there is no refresh token",
                    hint="log in again",
                )
            id_token, refresh_token = self._ask()
            changes = {"id-token": id_token}
            if refresh_token:
                changes["refresh-token"] = refresh_token
            if file:
                kubeconfig_write.write_provider_config(file, provider.user, changes)
        self._id_token = id_token
        self._refresh_token = refresh_token or self._refresh_token

    def _take_what_another_renewed(self, file: Path) -> bool:
        written = kubeconfig_write.provider_config(file, self._provider.user)
        self._refresh_token = written.get("refresh-token", "") or self._refresh_token
        token = written.get("id-token", "")
        if token == self._id_token or not self._is_good(token):
            return False
        self._id_token = token
        return True

    def _ask(self) -> tuple[str, str]:
        """A new id token and a new refresh token, "" where the one we have stays.

        The client's secret goes where most providers want it, else into the form, as Go's library tries it.
        """
        provider, endpoint = self._provider, self._token_endpoint()
        form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        if provider.client_secret:
            pair = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}".encode()
            answer = self._post(endpoint, form, {"Authorization": f"Basic {base64.b64encode(pair).decode()}"})
            if answer.code in (400, 401):
                secret = {"client_id": provider.client_id, "client_secret": provider.client_secret}
                answer = self._post(endpoint, form | secret, {})
        else:
            answer = self._post(endpoint, form | {"client_id": provider.client_id}, {})
        return self._tokens_of(answer)

    def _token_endpoint(self) -> str:
        url = self._provider.issuer_url.rstrip("/") + "/.well-known/openid-configuration"
        answer = self._fetch("GET", url, {"Accept": "application/json"}, None)
        try:
            endpoint = _discovery(answer.body).token_endpoint
        except (msgspec.DecodeError, UnicodeDecodeError):
            endpoint = None
        if answer.code != 200 or not endpoint:
            raise CredentialsError(
                f"the identity provider does not say where tokens are renewed: {url} answers {answer.code}"
            )
        return endpoint

    def _post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            **headers,
        }
        return self._fetch("POST", url, headers, urlencode(form).encode())

    def _tokens_of(self, answer: Answer) -> tuple[str, str]:
        try:
            found = _tokens(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = _Tokens()
        if answer.code != 200:
            why = f"{found.error or ''} {found.error_description or ''}".strip() or "without a reason"
            shown = "".join(c for c in why[:_REASON_CHARS_MAX] if c.isprintable())
            raise CredentialsError(
                f"the identity provider refuses to renew the token of {self._provider.user!r}: "
                f"{answer.code} {shown}",
                hint="log in again",
            )
        if not found.id_token:
            raise CredentialsError("the identity provider's answer holds no id_token")
        expires_at_s(found.id_token)
        return found.id_token, found.refresh_token or ""


def expires_at_s(token: str) -> float:
    """When a JSON web token ends, in wall time. Raises CredentialsError; the text never shows the token."""
    parts = token.split(".")
    try:
        if len(parts) != 3:
            raise ValueError
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return _claims(payload).exp
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise CredentialsError(
            "the id token is not a JSON web token with an expiry", hint="log in again"
        ) from None


_shared: "weakref.WeakValueDictionary[OidcProvider, OidcCredentials]" = weakref.WeakValueDictionary()
_shared_lock = threading.Lock()


def oidc_credentials(provider: OidcProvider, clock: Clock) -> OidcCredentials:
    """The credentials of ``provider``, shared by all clients of this process."""
    if not isinstance(clock, SystemClock):
        return OidcCredentials(provider, clock=clock)
    with _shared_lock:
        found = _shared.get(provider)
        if found is None:
            found = _shared[provider] = OidcCredentials(provider, clock=clock)
        return found
