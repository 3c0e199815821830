"""What the containers of pods have printed. There are no containers here: the text is given by whoever tests."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from deltawire.apiserver.core import failures
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


class PodLogs:
    """Scripted text by pod uid and container."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], list[LogLine]] = {}

    def script(
        self, pod: Record, text: str, *, now_s: float, alive: Callable[[], set[str]], container: str = ""
    ) -> None:
        """Make ``text`` what the container printed, all of it at ``now_s``. Raises StatusError 400, 413.

        ``alive`` gives the uids of the pods there are: where space runs out, the logs of others go.
        """
        key = pod.uid, container_of(pod, container)
        self._lines.pop(key, None)
        if self._size + len(text) > LOG_BYTES_MAX:
            uids = alive()
            self._lines = {key: lines for key, lines in self._lines.items() if key[0] in uids}
        if self._size + len(text) > LOG_BYTES_MAX:
            raise failures.too_large_body(f"the scripted logs exceed {LOG_BYTES_MAX} bytes")
        self._lines[key] = [LogLine(now_s, line) for line in text.splitlines()]

    @property
    def _size(self) -> int:
        return sum(len(line.text) + 1 for lines in self._lines.values() for line in lines)

    def read(self, pod: Record, options: LogOptions) -> bytes:
        """The text a client asks for. Raises StatusError 400 for a container that is not there."""
        container = container_of(pod, options.container)
        if options.previous:
            told = f'previous terminated container "{container}" in pod "{pod.name}" not found'
            raise failures.bad_request(told)
        lines = [line for line in self._lines.get((pod.uid, container), ()) if line.time_s >= options.since_s]
        if options.tail is not None:
            lines = lines[len(lines) - min(options.tail, len(lines)) :]
        text = "".join(f"{_stamp(line) if options.timestamps else ''}{line.text}\n" for line in lines)
        return text.encode()[: options.bytes_max]


def container_of(pod: Record, container: str) -> str:
    """The container meant; a pod with several must name one. Raises StatusError 400."""
    spec = pod.decode().get("spec") or {}
    names = [
        str(item.get("name", ""))
        for kind in ("containers", "initContainers", "ephemeralContainers")
        for item in spec.get(kind) or ()
    ]
    if container:
        if container not in names:
            raise failures.bad_request(f"container {container} is not valid for pod {pod.name}")
        return container
    running = [str(item.get("name", "")) for item in spec.get("containers") or ()]
    if len(running) > 1:
        told = f"a container name must be specified for pod {pod.name}, choose one of: {running}"
        raise failures.bad_request(told.replace("'", "").replace(",", ""))
    return running[0] if running else ""


def _stamp(line: LogLine) -> str:
    return datetime.fromtimestamp(line.time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z ")
