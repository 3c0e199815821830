"""A control group of the memory of all processes of a run, where this user may make one (version 1 or 2)."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Cgroup:
    folder: Path

    def starting(self, command: list[str]) -> list[str]:
        """The same command, started inside."""
        return ["sh", "-c", f"echo $$ > {self.folder}/cgroup.procs && exec {shlex.join(command)}"]

    def working_set(self) -> int:
        """Bytes, as the kubelet counts them: all that is charged, less inactive pages of files."""
        stat = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        if (self.folder / "memory.current").exists():
            return int((self.folder / "memory.current").read_text()) - int(stat["inactive_file"])
        used = int((self.folder / "memory.usage_in_bytes").read_text())
        return used - int(stat["total_inactive_file"])


@contextmanager
def made_cgroup(name: str) -> Iterator[Cgroup | None]:
    """None where none can be made."""
    root = ROOT / "memory" if (ROOT / "memory" / "memory.stat").exists() else ROOT
    folder = root / f"deltawire-bench-{os.getpid()}-{name}"
    try:
        folder.mkdir()
    except OSError:
        yield None
        return
    try:
        yield Cgroup(folder) if (folder / "memory.stat").exists() else None
    finally:
        # Busy where a process of it is still ending: an empty group costs nothing.
        with suppress(OSError):
            folder.rmdir()
