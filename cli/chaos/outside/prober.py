"""Asks a pipeline for its readiness all the time, and writes down every claim. Runs until it is killed.

    python prober.py --listen HOST:PORT --config FILE --cli PATH --claims FILE --processes FILE

Lines of ``claims``: ``{"at", "took_s", "wall", "what", …}``; ``what`` is ``readyz`` with ``code`` and ``text``, or
``status`` with ``status``. ``at`` is the monotonic clock, ``wall`` the other one, when the question was asked, seconds.
``processes``: ``{"at", "name", "pid", "up"}``, whenever a process of the pipeline comes or goes, as /proc shows it;
``name`` is ``reflector-0``, ``fifo``, ``worker-1``, ``<group>-0`` or ``supervisor``. Uses the standard library only.
"""

import argparse
import contextlib
import http.client
import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, TextIO

LOOK_EVERY_S = 0.1
ASK_EVERY_S = 0.1
STATUS_EVERY_S = 3.0
ROLES = {"reflector": "reflector", "fifo": "fifo", "informer": "worker", "handlers": ""}


def name_of(arguments: list[str], config: str) -> str:
    """What the process is in the pipeline of this config, "" for any other process."""
    if config in arguments and "up" in arguments:
        return "supervisor"
    module = next((a for a in arguments if a.startswith("deltawire.") and a.split(".")[1] in ROLES), "")
    if not module or "--config" not in arguments or "--index" not in arguments:
        return ""
    role = ROLES[module.split(".")[1]]
    index = arguments[arguments.index("--index") + 1]
    if "--handler" in arguments:
        return f"{arguments[arguments.index('--handler') + 1]}-{index}"
    return role if role == "fifo" else f"{role}-{index}"


def processes(config: str) -> dict[int, tuple[int, str]]:
    """pid → (parent, name) of the supervisor of this config and its children."""
    found: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):
            arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            name = name_of(arguments, config)
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if name and fields[0] != "Z":
                found[int(entry.name)] = (int(fields[1]), name)
    ours = {pid for pid, (_, name) in found.items() if name == "supervisor"}
    return {pid: entry for pid, entry in found.items() if pid in ours or entry[0] in ours}


def watch_processes(config: str, out: TextIO) -> None:
    """Each start and end as a line. ``at``: when the look began that noticed it; ``since``, ``until``: between what it
    was, since a look takes seconds on a busy machine."""
    known: dict[int, str] = {}
    since = time.monotonic()
    while True:
        at = time.monotonic()
        now = {pid: name for pid, (_, name) in processes(config).items()}
        look = {"at": at, "since": since, "until": time.monotonic()}
        for pid, name in known.items():
            if now.get(pid) != name:
                out.write(json.dumps({**look, "name": name, "pid": pid, "up": False}) + "\n")
        for pid, name in now.items():
            if known.get(pid) != name:
                out.write(json.dumps({**look, "name": name, "pid": pid, "up": True}) + "\n")
        known, since = now, at
        time.sleep(LOOK_EVERY_S)


def ask_ready(listen: str) -> dict[str, Any]:
    """The answer of /readyz; code 0 if there is none."""
    connection = http.client.HTTPConnection(listen, timeout=2)
    try:
        connection.request("GET", "/readyz?verbose")
        answer = connection.getresponse()
        return {"code": answer.status, "text": answer.read().decode(errors="replace")}
    except (OSError, http.client.HTTPException):
        return {"code": 0, "text": ""}
    finally:
        connection.close()


def ask_status(cli: str, config: str) -> Any:
    """``status --json``, None when there is no answer."""
    try:
        done = subprocess.run(
            [cli, "status", "-c", config, "--json"], capture_output=True, timeout=20, check=False
        )
        return json.loads(done.stdout) if done.stdout else None
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("listen", "config", "cli"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("claims", "processes"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    lock = threading.Lock()
    claims = options.claims.open("a", buffering=1)
    looking = options.processes.open("a", buffering=1)
    threading.Thread(target=watch_processes, args=(options.config, looking), daemon=True).start()

    def note(what: str, at: float, wall: float, claim: dict[str, Any]) -> None:
        line = {"at": at, "took_s": time.monotonic() - at, "wall": wall, "what": what, **claim}
        with lock:
            claims.write(json.dumps(line) + "\n")

    def ask_for_status() -> None:
        while True:
            at, wall = time.monotonic(), time.time()
            note("status", at, wall, {"status": ask_status(options.cli, options.config)})
            time.sleep(STATUS_EVERY_S)

    threading.Thread(target=ask_for_status, daemon=True).start()
    while True:
        at, wall = time.monotonic(), time.time()
        note("readyz", at, wall, ask_ready(options.listen))
        time.sleep(ASK_EVERY_S)


if __name__ == "__main__":
    main()
