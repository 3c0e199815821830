"""How much memory, CPU and disk to ask for: objects × bytes × rate. Pure.

The figures are of docs/performance.md, with room: a control group counts the pages of the caches that are mapped, which
the kernel takes back when memory is short.
"""

from dataclasses import dataclass

from deltawire.common.errors import ConfigError

MIB = 1024 * 1024
OBJECTS_MAX, RATE_MAX = 10_000_000, 100_000
# Processes of a core with two workers, and one worker or reflector more.
CORE_MIB, PROCESS_MIB = 160, 35
# Of the bytes of the objects: pages of caches in memory, with room for a first list; files on the disk.
PAGES_SHARE, DISK_SHARE = 1.6, 4.0
# CPU of an event in all core processes at everyday rates, and what a core takes when idle.
EVENT_MILLICPU, IDLE_MILLICPU = 1.5, 100
HANDLER_MIB = 64
DISK_MIB_MIN = 1024
_STEP_MIB = 32


@dataclass(frozen=True, slots=True)
class Size:
    """``objects``: in all caches; ``bytes``: of one, as JSON; ``rate``: changes in a second."""

    objects: int = 10_000
    bytes: int = 4_400
    rate: float = 100.0

    def core(self, workers: int, reflectors: int) -> dict[str, dict[str, str]]:
        """The core container's ``resources``. There is no CPU limit: a limit delays, and saves nothing."""
        pages_mib = self.objects * self.bytes * PAGES_SHARE / MIB
        used_mib = CORE_MIB + PROCESS_MIB * (max(workers - 2, 0) + max(reflectors - 1, 0))
        millicpu = IDLE_MILLICPU + self.rate * EVENT_MILLICPU
        return {
            "requests": {
                "cpu": f"{_up(millicpu, 50)}m",
                "memory": f"{_up(used_mib + pages_mib / 2, _STEP_MIB)}Mi",
            },
            "limits": {"memory": f"{_up(2 * used_mib + pages_mib, _STEP_MIB)}Mi"},
        }

    def handler(self) -> dict[str, dict[str, str]]:
        return {
            "requests": {"cpu": "50m", "memory": f"{HANDLER_MIB}Mi"},
            "limits": {"memory": f"{4 * HANDLER_MIB}Mi"},
        }

    @property
    def disk(self) -> str:
        """Caches, their history, and a second generation while one is made anew."""
        return f"{_up(max(self.objects * self.bytes * DISK_SHARE / MIB, DISK_MIB_MIN), 1024) // 1024}Gi"


def parse_size(text: str) -> Size:
    """``50000,4400,100``: objects, bytes, changes a second. Raises ConfigError."""
    parts = text.split(",")
    try:
        objects, size, rate = int(parts[0]), int(parts[1]), float(parts[2])
    except (IndexError, ValueError):
        raise ConfigError(
            f"{text!r} is not OBJECTS,BYTES,RATE", path="--size", hint="50000,4400,100"
        ) from None
    if len(parts) != 3 or min(objects, size) < 1 or not 0 <= rate <= RATE_MAX or objects > OBJECTS_MAX:
        raise ConfigError(f"{text!r} is out of bounds", path="--size", hint="50000,4400,100")
    return Size(objects, size, rate)


def _up(value: float, step: int) -> int:
    return -int(-value // step) * step
