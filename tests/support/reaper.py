"""``python -S reaper.py MARK``: when the pipe on stdin ends, kill every process that bears the mark.

A script of its own, on the standard library only: it starts in 20 ms beside each pytest process. See ``leftovers``.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

NAME = "DELTAWIRE_TESTS"


def marked(mark: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(pid, environment) of the processes that bear the mark; zombies have ended and have none."""
    wanted = f"{NAME}={mark}\0".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                data = (entry / "environ").read_bytes()
            except OSError:
                continue  # it has ended, or is another user's
            if wanted in data:
                pairs = (text.partition("=") for text in data.decode(errors="replace").split("\0"))
                yield int(entry.name), {name: value for name, _, value in pairs}


def kill_marked(mark: str) -> None:
    """Kill them all, and what they start until then."""
    for _ in range(20):
        found = [pid for pid, _ in marked(mark)]
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()  # until the other end is closed
    kill_marked(sys.argv[1])


if __name__ == "__main__":
    main()
