"""Recorded events for a handler's functions, one after another, in this process."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import msgspec

from deltawire.common.errors import ConfigError, PluginError
from deltawire.fake import FakeClientset
from deltawire.handlers.loader import load, pick
from deltawire.handlers.testing import Handled, Harness

# What waits longer than this (a Requeue of a day) does not come again in a replay.
WAIT_S = 3600.0
ATTEMPTS_MAX = 5


class Replay:
    """A handler that meets recorded events. Use as a context manager. Raises PluginError, ConfigError."""

    def __init__(self, plugin: Path, name: str | None, loads: tuple[Path, ...]) -> None:
        handlers = load(str(plugin))
        if name is None and len(handlers) > 1:
            names = ", ".join(handler.name for handler in handlers)
            raise ConfigError(f"{plugin} has several handlers: {names}", hint="choose one with --name")
        self._handler = pick(handlers, name or handlers[0].name, str(plugin))
        self._cluster = FakeClientset(*_objects(loads))
        self._harness: Harness | None = None
        self._counts: Counter[str] = Counter()
        self._passed_over = 0

    @property
    def failures(self) -> int:
        return self._counts["retry"] + self._counts["dead"]

    @property
    def summary(self) -> str:
        said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self._counts.items())) or "no calls"
        return f"{said}; {self._passed_over} events of what {self._handler.name} does not watch"

    def take(self, line: bytes, where: str) -> Iterator[str]:
        """Deliver the event of a line; a line of text for each call. Raises ConfigError, which names ``where``."""
        try:
            event = msgspec.json.decode(line, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{where} is no JSON object: {error}") from None
        if self._harness is None:
            self._harness = Harness(
                self._handler, cluster=str(event.get("cluster") or "test"), client=self._cluster,
                attempts_max=ATTEMPTS_MAX,
            )  # fmt: skip
        try:
            handled = self._harness.replay(event)
        except PluginError as error:
            raise ConfigError(f"{where}: {error.message}", hint=error.hint) from None
        self._passed_over += not handled
        yield from self._said(handled, f"{event.get('type')} {event.get('resource')}")

    def finish(self) -> Iterator[str]:
        """What waits for a later time comes: at most an hour of it."""
        if self._harness is not None and self._harness.waiting:
            yield from self._said(self._harness.wait(WAIT_S), "later")

    def _said(self, handled: list[Handled], what: str) -> Iterator[str]:
        for one in handled:
            self._counts[one.verdict] += 1
            why = f": {one.error}" if one.error else ""
            yield f"{what} {one.key} {one.verdict}{why}"

    def __enter__(self) -> "Replay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._harness is not None:
            self._harness.close()
        self._cluster.close()


def _objects(loads: tuple[Path, ...]) -> list[dict[str, object]]:
    from deltawire.apiserver.loading import read_files

    return [loaded.obj for loaded in read_files(loads)]
