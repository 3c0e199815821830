"""``python -m deltawire.cli.recorder FILE``: a handler's command that writes each event down and says yes to it.

A line of the file is what a command reads (docs/handlers.md §5), so a recording is also input for any command.
"""

import json
import sys
from pathlib import Path


def main() -> int:
    with Path(sys.argv[1]).open("a", encoding="utf-8") as file:
        for line in sys.stdin:
            file.write(line if line.endswith("\n") else f"{line}\n")
            file.flush()
            sys.stdout.write(json.dumps({"id": json.loads(line)["id"], "ok": True}) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
