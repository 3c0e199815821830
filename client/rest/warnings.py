"""What a server says beside its answer: ``Warning`` headers, such as for an API version about to be removed."""

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

WARNING_CHARS_MAX = 500
# So many different texts are remembered, to say each of them once.
WARNINGS_REMEMBERED_MAX = 1000
_PERSISTENT_WARNING = 299  # the only code that API servers send
_WARNING = re.compile(r'(?P<code>\d{3}) (?P<agent>"(?:[^"\\]|\\.)*"|[^\s,"]+) "(?P<text>(?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class ServerWarning:
    """One warning: ``text`` is a printable line."""

    code: int
    agent: str
    text: str


WarningHandler = Callable[[ServerWarning], None]


def parse_warnings(header: str) -> list[ServerWarning]:
    """The warnings in a header, or in several joined by commas; parts that are none are passed over."""
    return [
        ServerWarning(int(found["code"]), found["agent"], _line(found["text"]))
        for found in _WARNING.finditer(header)
    ]


class WarningLog:
    """Logs each warning of code 299 once. The default of every client, one for the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    def __call__(self, warning: ServerWarning) -> None:
        if warning.code != _PERSISTENT_WARNING or not warning.text:
            return
        with self._lock:
            if warning.text in self._seen:
                return
            if len(self._seen) < WARNINGS_REMEMBERED_MAX:
                self._seen.add(warning.text)
        log.warning("the API server warns: %s", warning.text)


def ignore_warnings(warning: ServerWarning) -> None:
    """A handler that drops warnings."""


log_warnings: WarningHandler = WarningLog()


def _line(quoted: str) -> str:
    text = " ".join(re.sub(r"\\(.)", r"\1", quoted).split())
    return "".join(c for c in text[:WARNING_CHARS_MAX] if c.isprintable())
