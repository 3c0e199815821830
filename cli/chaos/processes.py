"""Processes of a run: each in a group of its own, ended with us, found by what they were started with."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Modules of roles → what their processes are called, as `status` names them.
_ROLES = {"reflector": "reflector", "fifo": "fifo", "informer": "worker", "handlers": "handler"}
_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def start(argv: Sequence[str], log: Path, *, talks: bool = False) -> "subprocess.Popen[bytes]":
    """Start it with its output appended to ``log``; ``talks``: with pipes for stdin and stdout. It is killed when this
    thread ends, so that a run that is killed leaves nothing."""
    with log.open("ab") as out:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else out,
            stderr=out,
            start_new_session=True,
            env=os.environ | {"NO_COLOR": "1"},
            preexec_fn=_die_with_us,  # noqa: PLW1509  # one C call, and no thread of ours holds a lock that it needs
        )


def _die_with_us() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children() -> dict[int, list[int]]:
    """parent → pids, of all processes."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def descendants(pid: int) -> list[int]:
    """All that it started, and what these started."""
    tree, found = children(), [pid]
    for known in found:
        found += tree.get(known, [])
    return found[1:]


def roles(supervisor: int) -> dict[str, tuple[str, int]]:
    """name → (kind, pid) of the supervisor's processes: ``worker-0`` → (``worker``, 71). See `kind_of`."""
    found = {}
    for pid in children().get(supervisor, []):
        with contextlib.suppress(OSError):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            kind, name = kind_of(arguments)
            if kind:
                found[name] = (kind, pid)
    return found


def roles_with(mark: bytes) -> dict[int, str]:
    """pid → name of all roles' processes with these bytes in their command lines (arguments end with a zero byte)."""
    found = {}
    for pids in children().values():
        for pid in pids:
            with contextlib.suppress(OSError):
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
                kind, name = kind_of(line.decode(errors="replace").split("\0")) if mark in line else ("", "")
                if kind:
                    found[pid] = name
    return found


def kind_of(arguments: Sequence[str]) -> tuple[str, str]:
    """(kind, name) of a role's process by its command line, ("", "") of any other."""
    module = next((a for a in arguments if a.startswith("deltawire.")), "")
    kind = _ROLES.get(module.removeprefix("deltawire."), "")
    if not kind or "--index" not in arguments:
        return "", ""
    index = arguments[arguments.index("--index") + 1]
    if "--handler" in arguments:
        return kind, f"{arguments[arguments.index('--handler') + 1]}-{index}"
    return kind, kind if kind == "fifo" else f"{kind}-{index}"


def send(pid: int, number: signal.Signals) -> bool:
    """Whether the process was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def end_group(process: "subprocess.Popen[bytes]", *, wait_s: float = 5.0) -> None:
    """SIGTERM, and SIGKILL to the whole group for what did not end by it."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
