"""Signatures of tokens, which anybody can check with the key that is published (ES256)."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cached_property
from typing import Any

ALGORITHM = "ES256"
_NUMBER_BYTES = 32
# The order of the curve P-256 (FIPS 186-4): a private key is below it.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Signer:
    """A key made of ``secret``. It is made at its first use: the library takes some ms to load."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @cached_property
    def _private(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric import ec

        number = int.from_bytes(hashlib.sha256(self._secret).digest(), "big") % (_ORDER - 1) + 1
        return ec.derive_private_key(number, ec.SECP256R1())

    @cached_property
    def key_id(self) -> str:
        known = self._numbers()
        return part(hashlib.sha256(f"{known.x}:{known.y}".encode()).digest())

    def signature(self, signed: str) -> str:
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        numbers = decode_dss_signature(self._private.sign(_raw(signed), self._how()))
        return part(b"".join(number.to_bytes(_NUMBER_BYTES, "big") for number in numbers))

    def is_signed(self, signed: str, signature: str) -> bool:
        """Whether ``signature`` is one of ``signed`` by this key; False for what is none at all."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        try:
            raw = unpart(signature)
            if len(raw) != 2 * _NUMBER_BYTES:
                return False
            numbers = (int.from_bytes(half, "big") for half in (raw[:_NUMBER_BYTES], raw[_NUMBER_BYTES:]))
            self._private.public_key().verify(encode_dss_signature(*numbers), _raw(signed), self._how())
        except (InvalidSignature, ValueError):
            return False
        return True

    def public_key(self) -> dict[str, str]:
        """A JSON web key."""
        known = self._numbers()
        x, y = (part(number.to_bytes(_NUMBER_BYTES, "big")) for number in (known.x, known.y))
        return {
            "use": "sig",
            "kty": "EC",
            "kid": self.key_id,
            "crv": "P-256",
            "alg": ALGORITHM,
            "x": x,
            "y": y,
        }

    def _numbers(self) -> Any:
        return self._private.public_key().public_numbers()

    @staticmethod
    def _how() -> Any:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        return ec.ECDSA(hashes.SHA256())


def part(raw: bytes) -> str:
    """One part of a token."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def unpart(text: str) -> bytes:
    """Raises ValueError."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
