"""Bearer tokens: those given at the start, and those made while the server runs, which carry their expiry."""

import csv
import hashlib
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from deltawire.apiserver.auth.signer import ALGORITHM, Signer, part, unpart
from deltawire.apiserver.auth.users import ADMIN, User, account_of, authenticated
from deltawire.common.errors import ConfigError

ISSUER = "https://kubernetes.default.svc"
# Under it a service account's user says by which token it came.
_CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
# Signatures that were found good are remembered: making sure takes some 0.1 ms.
SIGNATURES_MAX = 1000


@dataclass(frozen=True, slots=True)
class BearerToken:
    """``token`` stands for ``user`` until ``expires_s`` (Unix seconds), for ever where that is None."""

    token: str
    user: User = ADMIN
    expires_s: float | None = None


def _no_account(namespace: str, name: str, uid: str) -> bool:
    return False


class Tokens:
    """Knows whom a token stands for.

    Tokens that are made here are signed with a key of this start and carry their expiry, so that none has to be
    kept. One of a service account is good as long as the account is: ``account_exists`` is asked with its
    namespace, name and uid. ``now`` gives Unix seconds.
    """

    def __init__(
        self,
        tokens: Iterable[str | BearerToken] = (),
        *,
        now: Callable[[], float],
        account_exists: Callable[[str, str, str], bool] = _no_account,
        key: bytes | None = None,
    ) -> None:
        given = [BearerToken(token) if isinstance(token, str) else token for token in tokens]
        # By digest: the time of a look-up reveals nothing about a token.
        self._given = {_digest(token.token): token for token in given}
        self._now = now
        self._account_exists = account_exists
        self._signer = Signer(key or secrets.token_bytes(32))
        self._is_signed = lru_cache(maxsize=SIGNATURES_MAX)(self._signer.is_signed)

    def mint(self, user: User, audiences: list[str], lifetime_s: float) -> str:
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
            "jti": str(uuid.uuid4()),
        }
        header = {"alg": ALGORITHM, "kid": self._signer.key_id, "typ": "JWT"}
        signed = f"{part(msgspec.json.encode(header))}.{part(msgspec.json.encode(claims))}"
        return f"{signed}.{self._signer.signature(signed)}"

    def key_set(self) -> dict[str, Any]:
        """The JSON web key set by which others can check the tokens that were made here."""
        return {"keys": [self._signer.public_key()]}

    def bearer(self, token: str, audiences: Iterable[str] = (ISSUER,)) -> User | None:
        """The user of ``token`` for one of ``audiences``; None for one that is unknown or has expired."""
        given = self._given.get(_digest(token))
        if given is not None:
            is_over = given.expires_s is not None and given.expires_s <= self._now()
            return None if is_over else given.user
        claims = self._claims(token)
        if claims is None or claims["exp"] <= self._now() or not set(audiences) & set(claims["aud"]):
            return None
        name, uid = claims["sub"], claims["uid"]
        account = account_of(name)
        if account is not None and not self._account_exists(*account, uid):
            return None
        extra = {_CREDENTIAL_ID: (f"JTI={claims['jti']}",)} if account is not None else {}
        return User(name, tuple(claims["groups"]), uid, extra)

    def is_ours(self, token: str) -> bool:
        """Whether it was given or made here, good or not."""
        return _digest(token) in self._given or self._claims(token) is not None

    def _claims(self, token: str) -> dict[str, Any] | None:
        signed, _, signature = token.rpartition(".")
        if signed.count(".") != 1 or not self._is_signed(signed, signature):
            return None
        claims: dict[str, Any] = msgspec.json.decode(unpart(signed.partition(".")[2]))
        return claims


def read_token_file(path: Path) -> list[BearerToken]:
    """The tokens of a CSV file in the API server's form: token, user, uid, and groups ("a,b") in quotes.

    Raises ConfigError.
    """
    tokens = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.reader(file, skipinitialspace=True), start=1):
                if not row or row[0].startswith("#"):
                    continue
                if len(row) < 3 or not row[0] or not row[1]:
                    told = f"{path}, line {number}: not token,user,uid[,groups]"
                    raise ConfigError(told, path="token-auth-file", hint='as in s3cret,bob,1,"dev,ops"')
                groups = tuple(group.strip() for group in ",".join(row[3:]).split(",") if group.strip())
                tokens.append(BearerToken(row[0], authenticated(row[1], groups, row[2])))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"cannot read {path}: {error}", path="token-auth-file") from None
    return tokens


def _digest(token: str) -> bytes:
    return hashlib.sha256(_raw(token)).digest()


def _raw(text: str) -> bytes:
    """The bytes of a header's value, of whatever encoding they were."""
    return text.encode("utf-8", "surrogateescape")
