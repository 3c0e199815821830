"""Whether the state folder outlives a restart of the machine, for `status` (guarantees, P4)."""

from pathlib import Path, PurePath

# File systems that live in memory, or go with their container.
_PASSING = frozenset({"tmpfs", "ramfs", "overlay", "rootfs", "devtmpfs"})
MOUNTS = Path("/proc/self/mounts")


def read_mounts() -> str:
    """The table of mounts of this process; "" where there is none to read (not Linux)."""
    try:
        return MOUNTS.read_text()
    except OSError:
        return ""


def is_durable(folder: PurePath, mounts: str) -> bool:
    """True unless ``folder`` lies on a file system that is known to pass. ``mounts``: lines of /proc/mounts."""
    best, kind = PurePath("/"), ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        # Blanks in a path are written as \040.
        point = PurePath(fields[1].replace("\\040", " "))
        # A later mount on the same point covers the earlier one.
        if folder.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, kind = point, fields[2]
    return kind not in _PASSING
