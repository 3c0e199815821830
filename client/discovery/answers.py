"""Answers that a server need not send again: kept with their ETags, in files that all processes of a user share.

client-go has an HTTP cache for this under its discovery cache. What is here is never used unasked: the server says
each time that it still holds (304), for whoever asks.
"""

import hashlib
import logging
import os
import tempfile
from http import HTTPStatus
from pathlib import Path

import msgspec

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.discovery.cluster_id import address_id
from deltawire.client.rest.result import Result
from deltawire.common.errors import StatusError

log = logging.getLogger(__name__)

ANSWER_BYTES_MAX = 64 * 1024 * 1024
# A server with 500 groups has about as many OpenAPI documents; the file that was written first goes.
FILES_MAX = 1024
_FORMAT = 1


class KeptAnswer(msgspec.Struct, frozen=True):
    """One answer. ``digest`` is that of all that is sent or returned."""

    format: int
    etag: str
    content_type: str
    body: bytes
    digest: bytes

    def is_confirmed_by(self, error: StatusError) -> bool:
        """True if the server, asked with the ETag, says that it still holds (304)."""
        return error.code == HTTPStatus.NOT_MODIFIED

    def result(self) -> Result:
        return Result(HTTPStatus.OK, {"Content-Type": self.content_type}, self.body)


class AnswerFiles:
    """One file for each path and form (``accept``), in ``<folder>/<address id>/answers``.

    Files are written aside and renamed. One that is damaged is as if it was not there; one that cannot be written
    costs a line in the log. Safe to use from many threads and many processes.
    """

    def __init__(self, config: ClientConfig, folder: Path) -> None:
        self._folder = folder / address_id(config) / "answers"

    def get(self, path: str, accept: str) -> KeptAnswer | None:
        try:
            with self._file(path, accept).open("rb") as file:
                found = msgspec.msgpack.decode(file.read(2 * ANSWER_BYTES_MAX), type=KeptAnswer)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("the answer to %s in %s cannot be used: %s", path, self._folder, error)
            return None
        is_whole = found.digest == _digest(found.etag, found.content_type, found.body)
        return found if is_whole and found.format == _FORMAT else None

    def keep(self, path: str, accept: str, found: Result) -> None:
        """`put` an answer that has an ETag."""
        etag = found.headers.get("ETag", "")
        if etag:
            content_type = found.headers.get("Content-Type", "")
            self.put(path, accept, etag=etag, content_type=content_type, body=found.raw)

    def put(self, path: str, accept: str, *, etag: str, content_type: str, body: bytes) -> None:
        """Keep the answer; not one that is larger than `ANSWER_BYTES_MAX`, or whose ETag cannot be sent back."""
        if len(body) > ANSWER_BYTES_MAX or not (etag.isascii() and etag.isprintable()):
            return
        kept = KeptAnswer(_FORMAT, etag, content_type, body, _digest(etag, content_type, body))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room()
            handle, name = tempfile.mkstemp(prefix=".answer-", dir=self._folder)  # 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.msgpack.encode(kept))
                Path(name).replace(self._file(path, accept))
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            log.warning("answers cannot be kept in %s: %s", self._folder, error)

    def _file(self, path: str, accept: str) -> Path:
        digest = hashlib.sha256(accept.encode() + b"\0" + path.encode())
        return self._folder / f"{digest.hexdigest()}.msgpack"

    def _make_room(self) -> None:
        """For one more file."""
        found = sorted(
            (entry.stat().st_mtime_ns, entry.name)
            for entry in self._folder.iterdir()
            if entry.name.endswith(".msgpack")
        )
        for _, name in found[: max(0, len(found) - FILES_MAX + 1)]:
            (self._folder / name).unlink(missing_ok=True)


def _digest(etag: str, content_type: str, body: bytes) -> bytes:
    return hashlib.sha256(f"{etag}\n{content_type}\n".encode() + body).digest()
