"""What the containers of pods have printed. There are no containers here: a test supplies the text."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from deltawire.apiserver.core import failures
from deltawire.apiserver.core.pods import container_of
from deltawire.apiserver.core.record import Record

# All logs together; setting one that does not fit is refused.
LOG_BYTES_MAX = 16 << 20


class LogLine(NamedTuple):
    """``time_s`` is Unix seconds."""

    time_s: float
    text: str


class LogOptions(NamedTuple):
    """``tail`` and ``bytes_max`` are None where there is no limit; ``since_s`` is Unix seconds."""

    container: str = ""
    tail: int | None = None
    bytes_max: int | None = None
    since_s: float = 0.0
    timestamps: bool = False
    previous: bool = False
    follow: bool = False


class PodLogs:
    """Scripted text by pod uid and container."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], list[LogLine]] = {}
        self._size = 0
        self._listeners: set[Callable[[], None]] = set()

    def script(
        self, pod: Record, text: str, *, now_s: float, alive: Callable[[], set[str]], container: str = ""
    ) -> None:
        """Make ``text`` what the container printed, all of it at ``now_s``. Raises StatusError 400, 413.

        ``alive`` gives the uids of the pods there are: where space runs out, the logs of others go.
        """
        key = pod.uid, container_of(pod, container)
        self._forget(key)
        self._add(key, text, now_s, alive)

    def append(
        self, pod: Record, text: str, *, now_s: float, alive: Callable[[], set[str]], container: str = ""
    ) -> None:
        """Let the container print ``text`` now, after what it has printed. Raises as `script`."""
        self._add((pod.uid, container_of(pod, container)), text, now_s, alive)

    def open(self, pod: Record, options: LogOptions) -> "LogReader":
        """The text a client asks for. Raises StatusError 400 for a container that is not there, or is being made."""
        container = container_of(pod, options.container)
        if options.previous:
            told = f'previous terminated container "{container}" in pod "{pod.name}" not found'
            raise failures.bad_request(told)
        if pod.fields.get("status.phase") == "Pending" and (why := _waits(pod, container)):
            told = f'container "{container}" in pod "{pod.name}" is waiting to start: {why}'
            raise failures.bad_request(told)
        return LogReader(self, (pod.uid, container), options)

    def lines(self, key: tuple[str, str]) -> list[LogLine]:
        """What was printed by that pod (uid) and container; another list after `script`."""
        return self._lines.get(key, [])

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever something was printed; it must not raise and not block."""
        self._listeners.add(listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        self._listeners.discard(listener)

    def _add(self, key: tuple[str, str], text: str, now_s: float, alive: Callable[[], set[str]]) -> None:
        lines = [LogLine(now_s, line) for line in text.splitlines()]
        size = sum(len(line.text) + 1 for line in lines)
        if self._size + size > LOG_BYTES_MAX:
            uids = alive()
            for gone in [found for found in self._lines if found[0] not in uids]:
                self._forget(gone)
        if self._size + size > LOG_BYTES_MAX:
            raise failures.too_large_body(f"the scripted logs exceed {LOG_BYTES_MAX} bytes")
        self._lines.setdefault(key, []).extend(lines)
        self._size += size
        for listener in tuple(self._listeners):
            listener()

    def _forget(self, key: tuple[str, str]) -> None:
        self._size -= sum(len(line.text) + 1 for line in self._lines.pop(key, ()))


class LogReader:
    """A place in one log. ``is_full`` once the ``bytes_max`` asked for were taken."""

    def __init__(self, logs: PodLogs, key: tuple[str, str], options: LogOptions) -> None:
        self._logs = logs
        self._key = key
        self._options = options
        self._left = options.bytes_max
        self._lines = logs.lines(key)
        self._next = 0
        if options.tail is not None:
            lines = [i for i, line in enumerate(self._lines) if line.time_s >= options.since_s]
            self._next = lines[-options.tail] if 0 < options.tail <= len(lines) else 0
            if options.tail == 0:
                self._next = len(self._lines)

    @property
    def is_full(self) -> bool:
        return self._left == 0

    def take(self, bytes_max: int | None = None) -> bytes:
        """What follows, whole lines, up to the first that passes ``bytes_max``; nothing at the end for now."""
        lines = self._logs.lines(self._key)
        if lines is not self._lines:
            # Another text, or the first one: read from its beginning.
            self._lines, self._next = lines, 0
        parts: list[bytes] = []
        size = 0
        while self._next < len(lines) and (bytes_max is None or size < bytes_max):
            line = lines[self._next]
            self._next += 1
            if line.time_s >= self._options.since_s:
                stamp = _stamp(line) if self._options.timestamps else ""
                parts.append(f"{stamp}{line.text}\n".encode())
                size += len(parts[-1])
        data = b"".join(parts)[: self._left]
        if self._left is not None:
            self._left -= len(data)
        return data


def _waits(pod: Record, container: str) -> str:
    """What that container waits for; "" where nothing says that it does."""
    for entry in (pod.decode().get("status") or {}).get("containerStatuses") or ():
        if entry.get("name") == container:
            return str(((entry.get("state") or {}).get("waiting") or {}).get("reason", ""))
    return ""


def _stamp(line: LogLine) -> str:
    return datetime.fromtimestamp(line.time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z ")
