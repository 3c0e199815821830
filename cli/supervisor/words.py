"""What a process said before it ended, for a line in a table."""

import json
from collections.abc import Sequence

_SERIOUS = ("warning", "error", "critical")


def last_words(lines: Sequence[str]) -> str:
    """The last line that says something: the message of a JSON log line from warning on, or the line itself."""
    for line in reversed(lines):
        try:
            record = json.loads(line)
        except ValueError:
            if line.strip():
                return line.strip()
            continue
        if isinstance(record, dict) and record.get("level") in _SERIOUS:
            return str(record.get("message", ""))
    return ""
