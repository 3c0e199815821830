"""Operators, accounts and users of NATS as a test needs them: keys, signed JWTs, files of credentials."""

import base64
import binascii
import hashlib
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Of whom a key is, as the first letter of its public form.
KINDS = {"O": 14 << 3, "A": 0, "U": 20 << 3}
_SEED = 18 << 3


def _text(raw: bytes) -> str:
    whole = raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(whole).decode().rstrip("=")


class Key:
    """``kind``: a letter of `KINDS`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.private = Ed25519PrivateKey.generate()
        self.public = _text(bytes([KINDS[kind]]) + self.private.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        kind = KINDS[self.kind]
        return _text(bytes([_SEED | kind >> 5, (kind & 31) << 3]) + self.private.private_bytes_raw())

    def jwt(self, of: "Key", name: str, claims: dict[str, Any], *, expires_in_s: float | None = None) -> str:
        """A JWT about ``of``, signed by this key. ``expires_in_s``: from now on, None for never."""
        body: dict[str, Any] = {"iat": int(time.time()), "iss": self.public, "name": name, "sub": of.public}
        if expires_in_s is not None:
            body["exp"] = int(time.time() + expires_in_s)
        body["nats"] = {**claims, "version": 2}
        digest = hashlib.sha256(json.dumps(body).encode()).digest()
        body["jti"] = base64.b32encode(digest).decode().rstrip("=")
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        signed = ".".join(_url(json.dumps(part).encode()) for part in (head, body))
        return f"{signed}.{_url(self.private.sign(signed.encode()))}"


def _url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class User(Key):
    def __init__(self) -> None:
        super().__init__("U")

    def file(self, jwt: str) -> str:
        """As ``nsc`` writes it."""
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            "NKEY Seed printed below can be used to sign and prove identity.\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{self.seed}\n------END USER NKEY SEED------\n"
        )

    def verify(self, signature: str, nonce: bytes) -> None:
        """Raises InvalidSignature."""
        self.private.public_key().verify(base64.b64decode(signature), nonce)


class Operator:
    """An operator with an account that may use JetStream, and the system account that servers need."""

    def __init__(self) -> None:
        self._key, self._account, self._system = Key("O"), Key("A"), Key("A")

    @property
    def config(self) -> str:
        """Lines of a server's config."""
        operator = self._key.jwt(self._key, "op", {"type": "operator", "system_account": self._system.public})
        unlimited = {
            "subs": -1,
            "data": -1,
            "payload": -1,
            "imports": -1,
            "exports": -1,
            "conn": -1,
            "leaf": -1,
        }
        stores = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
        account = self._key.jwt(
            self._account, "app", {"type": "account", "limits": unlimited | {"wildcards": True} | stores}
        )
        system = self._key.jwt(
            self._system, "sys", {"type": "account", "limits": unlimited | {"wildcards": True}}
        )
        return (
            f"operator: {operator}\nsystem_account: {self._system.public}\nresolver: MEMORY\n"
            f"resolver_preload: {{ {self._account.public}: {account}, {self._system.public}: {system} }}\n"
        )

    def credentials(self, user: User | None = None, *, expires_in_s: float | None = None) -> str:
        """The content of a file of credentials of a user who may do anything in the account."""
        user = user or User()
        claims = {"type": "user", "subs": -1, "data": -1, "payload": -1}
        return user.file(self._account.jwt(user, "deltawire", claims, expires_in_s=expires_in_s))
