"""A process' identity on the wire: its name, a nonce for each start, and what shows others that it is gone."""

import os
import secrets
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """``bytes`` is the ZeroMQ identity. ``started`` and ``host`` let a peer on the same host see a death.

    ``run``: of which `deltawire up` it is, "" if of none.
    """

    role: str
    name: str
    nonce: str
    pid: int
    started: int
    host: str
    run: str = ""

    def again(self) -> "Identity":
        """The same process under a new nonce: its former connection may still be held for alive elsewhere."""
        return replace(self, nonce=secrets.token_hex(4))

    @property
    def bytes(self) -> bytes:
        return f"{self.name}.{self.nonce}".encode()


def new_identity(role: str, name: str, run: str = "") -> Identity:
    pid = os.getpid()
    return Identity(role, name, secrets.token_hex(4), pid, process_started(pid), host_id(), run)


def process_started(pid: int) -> int:
    """The process' start in clock ticks since boot; 0 where there is no such process, no /proc, or it is not known."""
    try:
        return _started(pid)
    except OSError:
        return 0


def _started(pid: int) -> int:
    """0 where there is no such process, or no /proc. Raises OSError where that cannot be seen."""
    try:
        # As bare as this since it is asked twice a second of each peer.
        file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            stat = os.read(file, 4096)
        finally:
            os.close(file)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The command's name, in parentheses, may hold blanks; field 22 counts from after it.
    fields = stat.rpartition(b")")[2].split()
    return 0 if fields[0] == b"Z" else int(fields[19])


@cache
def host_id() -> str:
    """Boot id and pid namespace: processes with the same value see each other's pids. "" without /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def is_known_dead(pid: int, started: int, host: str) -> bool:
    """True only if the process ran where we can see it, and does not any more."""
    return bool(started and host) and host == host_id() and has_ended(pid, started)


def has_ended(pid: int, started: int) -> bool:
    """True only if the process that began then is known to be gone: without a free descriptor nothing is known."""
    try:
        return _started(pid) != started
    except OSError:
        return False
