"""The same as audit.js in Python without any of Deltawire's code: what any language has to do.

In the config: ``{name: audit, command: [python3, examples/audit_lines.py], on: [{resource: pods, labels: app}]}``.
"""

import json
import os
import sys
from pathlib import Path


def note(text: str) -> None:
    """Append to $AUDIT_FILE, or say it on stderr, which is the handler's log."""
    path = os.environ.get("AUDIT_FILE")
    if path:
        with Path(path).open("a") as file:
            file.write(text + "\n")
    else:
        print(text, file=sys.stderr)


def main() -> None:
    for line in sys.stdin:
        event = json.loads(line)
        app = event["object"]["metadata"].get("labels", {}).get("app", "nobody")
        answer = {"id": event["id"], "ok": True}
        try:
            note(f"{event['type']} {event['resource']} {event['key']} version={event['version']} app={app}")
        except OSError as error:
            # It comes again in five seconds. Without retry_after_s it comes later and later.
            answer = {"id": event["id"], "error": str(error), "retry_after_s": 5}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
