"""Calls of handlers that record what they do: how many ended, and whether they go on."""

import time
from pathlib import Path

from tests.support.pipeline import wait_until


class RecordedCalls:
    """``calls``: the file of each handler."""

    calls: dict[str, Path]

    def acknowledged(self) -> dict[str, int]:
        return {
            name: path.read_bytes().count(b'"end"') if path.exists() else 0
            for name, path in self.calls.items()
        }

    def wait_flowing(self, seconds: float = 60, *, calls: int = 1) -> float:
        """Until each handler has acknowledged that many calls from now on; the seconds that it took."""
        before, began_s = self.acknowledged(), time.monotonic()
        wait_until(
            "calls of every handler",
            lambda: all(count >= before[name] + calls for name, count in self.acknowledged().items()),
            seconds=seconds,
        )
        return time.monotonic() - began_s
