"""What a process said before it ended, for a line in a table."""

import json
from collections.abc import Sequence

# What faulthandler writes first (`common.process.run_role` switches it on).
_CRASH = "Fatal Python error:"
_SERIOUS = ("warning", "error", "critical")


def last_words(lines: Sequence[str]) -> str:
    """The last line that says something: the message of a JSON log line from warning on, or the line itself.

    Of a crash of the interpreter: what it was, and the line of Python that it was in.
    """
    crash = next((number for number, line in enumerate(lines) if line.startswith(_CRASH)), None)
    if crash is not None:
        where = next((line.strip() for line in lines[crash:] if line.startswith("  File ")), "")
        return f"{lines[crash].strip()}{f' at {where}' if where else ''}"
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
