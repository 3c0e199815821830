"""Certificates on disk: one file each, and a link to the current one."""

import datetime
import os
import tempfile
from pathlib import Path

from deltawire.client.tools.certificate.key_pair import KeyPair, key_pair
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError, StateError

FILE_BYTES_MAX = 1024 * 1024
_KEY_MARK = b"PRIVATE KEY-----"


class FileStore:
    """``PREFIX-<time>.pem`` for each pair, and the link ``PREFIX-current.pem``, replaced in one step.

    Files are readable for their owner alone. A reader of the link sees one pair or the other, never half of
    each. Old files stay: they are small, and what was used is worth knowing. Raises StateError where the
    folder cannot be used.
    """

    def __init__(self, folder: Path, prefix: str, *, clock: Clock | None = None) -> None:
        if not prefix or "/" in prefix:
            raise ConfigError(f"{prefix!r} cannot begin a file's name", path="prefix")
        self._folder = folder
        self._prefix = prefix
        self._clock = clock or SystemClock()

    @property
    def current_path(self) -> Path:
        """Give it as ``cert_file`` and ``key_file``: clients follow it when it changes."""
        return self._folder / f"{self._prefix}-current.pem"

    def current(self) -> KeyPair | None:
        """None where there is none yet. Raises ConfigError for a file that holds no pair."""
        try:
            with self.current_path.open("rb") as file:
                data = file.read(FILE_BYTES_MAX)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"{self.current_path} cannot be read: {error.strerror}") from None
        cert, key = _split(data)
        try:
            return key_pair(cert, key)
        except ConfigError as error:
            raise ConfigError(error.message, path=str(self.current_path)) from None

    def update(self, cert: bytes, key: bytes) -> KeyPair:
        """Keep the pair and make it the current one. Raises ConfigError for a pair that is none."""
        pair = key_pair(cert, key)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=f".{self._prefix}-")  # 0600
            with os.fdopen(handle, "wb") as file:
                file.write(pair.pem)
                file.flush()
                os.fsync(file.fileno())
            target = self._folder / self._name()
            Path(name).replace(target)
            self._point_at(target)
        except OSError as error:
            raise StateError(f"{self._folder} cannot be written: {error.strerror}") from None
        return pair

    def _point_at(self, target: Path) -> None:
        """Links cannot be rewritten, but replaced: a crash in between leaves the old one in place."""
        updated = self._folder / f"{self._prefix}-updated.pem"
        updated.unlink(missing_ok=True)
        updated.symlink_to(target.name)
        updated.replace(self.current_path)

    def _name(self) -> str:
        now = datetime.datetime.fromtimestamp(self._clock.wall_s(), datetime.UTC)
        return f"{self._prefix}-{now:%Y-%m-%d-%H-%M-%S}-{now.microsecond:06}.pem"


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The certificates and the key of one file."""
    blocks = [b"-----BEGIN" + block for block in data.split(b"-----BEGIN")[1:]]
    return b"".join(b for b in blocks if _KEY_MARK not in b), b"".join(b for b in blocks if _KEY_MARK in b)
