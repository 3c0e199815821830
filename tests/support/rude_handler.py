"""An executable handler without manners: reads JSON lines and answers each in the end, after what its event's
object is named for. Imports nothing but the standard library.

    python rude_handler.py FILE      keys that were answered for good are appended to FILE
"""

import json
import sys
from pathlib import Path

RUDE = {
    "huge-line": lambda id: [b"x" * 300_000],
    "huge-answer": lambda id: [b'{"id": %d, "ok": true, "more": "%s"}' % (id, b"x" * 100_000)],
    "garbage": lambda id: [b"\xff\xfe{{{", b"hello from a forgotten print", b"[]", b"null", b"\x00\x00"],
    "unknown-id": lambda id: [b'{"id": 987654321, "ok": true}', b'{"id": -1, "ok": true}'],
    "wrong-types": lambda id: [b'{"id": "7", "ok": true}', b'{"id": 1e400}', b'{"id": [1], "ok": {}}'],
    "deep": lambda id: [b"[" * 20_000 + b"]" * 20_000],
    "twice": lambda id: [b'{"id": %d, "ok": true}' % id],
    "nothing-said": lambda id: [b'{"id": %d}' % id],
    "two-things": lambda id: [b'{"id": %d, "ok": true, "error": "no"}' % id],
    "for-ever": lambda id: [b'{"id": %d, "retry_after_s": -1}' % id],
}


def main() -> None:
    out = Path(sys.argv[1])
    rude_already: set[str] = set()
    for line in sys.stdin.buffer:
        event = json.loads(line)
        for what, answers in RUDE.items():
            if event["name"].startswith(f"rude-{what}") and event["key"] not in rude_already:
                rude_already.add(event["key"])
                for answer in answers(event["id"]):
                    sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.write(b'{"id": %d, "ok": true}\n' % event["id"])
        sys.stdout.buffer.flush()
        with out.open("a") as file:
            file.write(event["key"] + "\n")


if __name__ == "__main__":
    main()
