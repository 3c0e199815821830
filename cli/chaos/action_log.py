"""The log of a run: each action with its time, and what the judges have to know of it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from deltawire.common.clock import Clock


class ActionLog:
    """Lines of ``actions.jsonl``. ``at`` and ``until`` are seconds of the monotonic clock."""

    def __init__(self, path: Path, clock: Clock, tell: Callable[[str], None]) -> None:
        self._path, self._clock, self._tell = path, clock, tell
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []
        self._began = clock.now_s()

    def add(self, kind: str, *, text: str | None = None, **fields: Any) -> dict[str, Any]:
        """Note what is done now. The entry is returned: ``until`` may be put off by `end`."""
        now = self._clock.now_s()
        entry = {"kind": kind, "at": now, "until": now, **fields}
        with self._lock:
            self._entries.append(entry)
            self._write()
        if text != "":
            self._tell(f"{now - self._began:7.1f}s  {kind if text is None else text}")
        return entry

    def end(self, entry: dict[str, Any]) -> None:
        """What the entry is about is over now."""
        with self._lock:
            entry["until"] = self._clock.now_s()
            self._write()

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The entries of a kind, oldest first."""
        with self._lock:
            return [entry for entry in self._entries if entry["kind"] == kind]

    def _write(self) -> None:
        encode = msgspec.json.encode
        draft = self._path.with_suffix(".new")
        draft.write_bytes(b"".join(encode(entry) + b"\n" for entry in self._entries))
        draft.replace(self._path)
