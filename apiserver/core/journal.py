"""Keeping objects over restarts: an append-only file of commits, one JSON line each.

The first line is a header with the version up to which the lines after it are a snapshot; later lines are
commits in order. Each commit is written before it is visible, so a killed process loses nothing; after a
machine crash the newest commits may be missing. A torn last line is cut off. The file is rewritten as a
snapshot when it holds much more history than objects.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import msgspec

from deltawire.apiserver.core.window import Event
from deltawire.common.errors import StateError, StatusError

FORMAT = "deltawire-apiserver/1"
# A file with more commits than this beyond its objects, and than twice its objects, is rewritten.
COMMITS_KEPT_MAX = 20_000


class _Header(msgspec.Struct):
    format: str
    floor: int


class Commit(msgspec.Struct):
    """One line: table, key, version, and the stored body; ``null`` for a removal."""

    table: str
    key: str
    version: int
    body: msgspec.Raw

    @property
    def is_removal(self) -> bool:
        return bytes(self.body) == b"null"


class FileJournal:
    """The open file, locked for this process. Raises StateError if it is in use or not written by this server."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open(path)
        self._is_torn = False
        self.floor = 0
        self.commits = 0

    def load(self) -> Iterator[Commit]:
        """The commits of earlier starts in order; `floor` is set once the first was asked for."""
        with self._path.open("rb") as reader:
            yield from self._read(reader)

    def _read(self, lines: BinaryIO) -> Iterator[Commit]:
        header = next(lines, b"")
        if not header:
            self._file.write(msgspec.json.encode(_Header(FORMAT, 0)) + b"\n")
            return
        self.floor = self._decode_header(header)
        good, number = len(header), 1
        for line in lines:
            number += 1
            if not line.endswith(b"\n"):
                break
            try:
                commit = msgspec.json.decode(line, type=Commit)
            except msgspec.MsgspecError as error:
                raise StateError(f"{self._path}: line {number} is damaged: {error}") from None
            good += len(line)
            self.commits += 1
            yield commit
        self._file.truncate(good)
        self._file.seek(good)

    def append(self, storage: str, event: Event) -> None:
        """Write one commit. Raises StatusError 500 if the file takes no more; then nothing was written.

        If not even a part of a line can be taken back, no later write is accepted: it would be lost behind it.
        """
        if self._is_torn:
            raise StatusError(500, "InternalError", f"{self._path} ends in a torn line: restart the server")
        body = event.new.body if event.new is not None else b"null"
        head = msgspec.json.encode({"table": storage, "key": event.record.key, "version": event.version})
        line = head[:-1] + b',"body":' + body + b"}\n"
        before = self._file.tell()
        try:
            if self._file.write(line) == len(line):
                self.commits += 1
                return
            why = "it was written in part only"
        except OSError as error:
            why = error.strerror or str(error)
        self._is_torn = True
        self._file.truncate(before)
        self._file.seek(before)
        self._is_torn = False
        raise StatusError(500, "InternalError", f"the write cannot be kept in {self._path}: {why}")

    def rewrite(self, floor: int, commits: Iterable[tuple[str, str, int, bytes]]) -> None:
        """Replace the file by a snapshot at ``floor``: (table, key, version, body) of every object."""
        draft = self._path.with_name(f".{self._path.name}.new")
        draft.unlink(missing_ok=True)
        file = self._open(draft)
        written = 0
        with draft.open("wb") as writer:
            writer.write(msgspec.json.encode(_Header(FORMAT, floor)) + b"\n")
            for table, key, version, body in commits:
                writer.write(msgspec.json.encode(Commit(table, key, version, msgspec.Raw(body))) + b"\n")
                written += 1
            writer.flush()
            os.fsync(writer.fileno())
        draft.replace(self._path)
        self._file.close()
        self._file = file
        self._file.seek(0, os.SEEK_END)
        self.floor, self.commits = floor, written

    def close(self) -> None:
        self._file.close()

    @staticmethod
    def _open(path: Path) -> FileIO:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"cannot open {path}: {error.strerror}", hint="see --data") from None
        file = FileIO(descriptor, "r+b")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise StateError(f"{path} is in use by another API server", hint="see --data") from None
        return file

    def _decode_header(self, line: bytes) -> int:
        try:
            header = msgspec.json.decode(line, type=_Header)
        except msgspec.MsgspecError:
            header = _Header("", 0)
        if header.format != FORMAT:
            raise StateError(f"{self._path} is not a data file of this API server", hint="see --data")
        return header.floor
