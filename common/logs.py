"""Logs: the standard library's, one JSON object a line on stderr, or short lines for a person's terminal."""

import json
import logging
import sys
import time

# What a LogRecord always has; anything else was given by `extra=` and is printed.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """``{"time", "level", "role", "logger", "message", …extra}``; tracebacks under ``exception``."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name.removeprefix("deltawire."),
            "message": record.getMessage(),
        }
        fields.update((k, v) for k, v in vars(record).items() if k not in _STANDARD)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str, ensure_ascii=False)


class LineFormatter(logging.Formatter):
    """``12:00:00 role level message`` for a terminal."""

    def __init__(self, role: str) -> None:
        super().__init__(f"%(asctime)s {role} %(levelname)s %(message)s", "%H:%M:%S")


def set_up(role: str, *, level: str = "info", json_lines: bool = True) -> None:
    """Send all logs of this process to stderr. Call once, at the start of a process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(role) if json_lines else LineFormatter(role))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Third parties speak at debug level of every connection; their warnings are kept.
    for noisy in ("urllib3", "asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
