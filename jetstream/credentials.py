"""A user's credentials for NATS: the JWT that names the user, and the seed that signs what a server asks to be signed.

A file of credentials (``.creds``, as ``nsc`` writes it) has both, each between two lines that say so. It is read again
for each connection, so that a renewed one is taken.
"""

import base64
import binascii
import re
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_BLOCK = re.compile(r"-+BEGIN ([A-Z ]+)-+\s*(\S+)\s*-+END \1-+")
_JWT, _SEED = "NATS USER JWT", "USER NKEY SEED"
_SEED_BYTES = 32
# Two bytes say of what and of whom the seed is, two at the end are a checksum.
_HEAD_BYTES, _SUM_BYTES = 2, 2
# The upper five bits of the first byte, and the next eight bits, as the letters S and U.
_PREFIX_SEED, _PREFIX_USER = 18 << 3, 20 << 3


class Credentials:
    """What nats-py asks for at each attempt to connect. ``path`` is looked at then, not before."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def jwt(self) -> bytes:
        """Raises OSError, which names the file and what is wrong with it, and shows nothing of its content."""
        return self._block(_JWT).encode()

    def sign(self, nonce: str) -> bytes:
        """The signature of ``nonce`` in base64. Raises as `jwt`."""
        key = Ed25519PrivateKey.from_private_bytes(self._seed())
        return base64.b64encode(key.sign(nonce.encode()))

    def _block(self, what: str) -> str:
        try:
            text = self._path.read_text(encoding="ascii")
        except UnicodeDecodeError:
            text = ""
        except OSError as error:
            raise OSError(f"credentials {self._path} cannot be read: {error.strerror}") from None
        found: dict[str, str] = dict(_BLOCK.findall(text))
        if what not in found:
            raise OSError(f"credentials {self._path} have no {what}: is it a .creds file, as nsc writes it?")
        return found[what]

    def _seed(self) -> bytes:
        text = self._block(_SEED)
        try:
            raw = base64.b32decode(text + "=" * (-len(text) % 8))
        except binascii.Error:
            raw = b""
        body, checksum = raw[:-_SUM_BYTES], raw[-_SUM_BYTES:]
        is_whole = len(raw) == _HEAD_BYTES + _SEED_BYTES + _SUM_BYTES
        if not is_whole or binascii.crc_hqx(body, 0).to_bytes(2, "little") != checksum:
            raise OSError(f"credentials {self._path}: the seed is not whole")
        if raw[0] & 0xF8 != _PREFIX_SEED or (raw[0] & 7) << 5 | raw[1] >> 3 != _PREFIX_USER:
            raise OSError(f"credentials {self._path}: the seed is no user's (a user's begins with SU)")
        return body[_HEAD_BYTES:]
