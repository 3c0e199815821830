"""Bearer tokens: those given at the start, and those made for service accounts."""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable

import msgspec

from deltawire.apiserver.auth.users import ADMIN, User
from deltawire.common.errors import StatusError

ISSUER = "https://kubernetes.default.svc"
_HEADER = {"alg": "HS256", "typ": "JWT"}


class Tokens:
    """Lets bearers of known tokens in; without any given at the start, everybody is.

    Tokens of service accounts are signed with a key of this start and carry their expiry, so that none has to
    be kept. ``now`` gives Unix seconds.
    """

    def __init__(
        self,
        tokens: Iterable[str],
        *,
        now: Callable[[], float],
        key: bytes | None = None,
    ) -> None:
        self._tokens = [token.encode() for token in tokens]
        self._now = now
        self._key = key or secrets.token_bytes(32)

    def mint(self, user: User, audiences: list[str], lifetime_s: int) -> str:
        """A token that stands for ``user`` until ``lifetime_s`` from now."""
        issued = int(self._now())
        claims = {
            "iss": ISSUER,
            "aud": audiences or [ISSUER],
            "sub": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "iat": issued,
            "nbf": issued,
            "exp": issued + lifetime_s,
        }
        signed = f"{_part(msgspec.json.encode(_HEADER))}.{_part(msgspec.json.encode(claims))}"
        return f"{signed}.{self._signature(signed)}"

    def user(self, authorization: str) -> User:
        """Whose request carries this Authorization header. Raises StatusError 401."""
        scheme, _, given = authorization.partition(" ")
        found = self.bearer(given.strip()) if scheme.lower() == "bearer" else None
        if found is None and not self._tokens:
            return ADMIN
        if found is None:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        return found

    def bearer(self, token: str) -> User | None:
        """Who may use ``token``; None for one that is unknown or has expired."""
        offered = token.encode()
        # Compare with all of them, in constant time each.
        if sum(hmac.compare_digest(offered, known) for known in self._tokens):
            return ADMIN
        signed, _, signature = token.rpartition(".")
        if not signed or not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            return None
        claims = msgspec.json.decode(_unpart(signed.partition(".")[2]))
        if claims["exp"] <= self._now():
            return None
        return User(claims["sub"], tuple(claims["groups"]), claims["uid"])

    def _signature(self, signed: str) -> str:
        return _part(hmac.digest(self._key, signed.encode(), "sha256"))


def _part(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpart(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
