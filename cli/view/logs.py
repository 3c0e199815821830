"""A role's line of log for a person: the message, and a traceback as Python prints it. Pure.

Not here: which lines are shown (``lines``, ``live``).
"""

import json


def readable(name: str, text: str) -> list[str]:
    """The lines to show for what a process wrote to stderr: a JSON log line taken apart, anything else as it is."""
    try:
        record = json.loads(text)
    except ValueError:
        return [text]
    if not isinstance(record, dict) or "message" not in record:
        return [text]
    time = str(record.get("time", ""))[11:19]
    level = str(record.get("level", ""))
    head = f"{time} {name} {level}: {record['message']}" if level != "info" else f"{time} {name}: {record['message']}"
    return [*head.splitlines(), *str(record.get("exception") or "").splitlines()]
