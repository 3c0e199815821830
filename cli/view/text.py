"""Numbers as people read them in a row of others."""

from datetime import datetime

from deltawire.cli.supervisor.status_types import Snapshot


def count(number: float) -> str:
    """``999``, ``1.2k``, ``34k``, ``5.6M``."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if number >= limit:
            scaled = number / limit
            return f"{scaled:.1f}{unit}" if scaled < 10 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}"


def milliseconds(value: float | None) -> str:
    """``2.1 ms``, ``350 ms``, ``1.2 s``; ``-`` where it is not known."""
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def plural(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def known(number: int | None) -> str:
    """The number, ``?`` where it is not known."""
    return "?" if number is None else str(number)


def clock_time(at_us: int | None) -> str:
    """``14:02:11`` of µs since 1970, in local time; ``?`` where it is not known."""
    return "?" if at_us is None else datetime.fromtimestamp(at_us / 1e6).strftime("%H:%M:%S")


def readiness(snapshot: Snapshot) -> str:
    """``ready as of 14:02:11``, or ``not ready``."""
    return f"ready as of {clock_time(snapshot.as_of)}" if snapshot.ready else "not ready"
