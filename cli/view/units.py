"""Sizes and ages as people read them. How they are written in a config: `common.meta.units`."""


def format_bytes(size: float) -> str:
    """``812 B``, ``4.3 KiB``, ``64.0 MiB``: one decimal from 1024 on."""
    if abs(size) < 1024:
        return f"{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if abs(size) < 1023.95:  # what would be printed as 1024.0 belongs to the next unit
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"


def format_age(seconds: float) -> str:
    """An age as kubectl prints it: two units where the first is small, else one.

    ``90s``, ``5m30s``, ``45m``, ``3h20m``, ``20h``, ``3d4h``, ``100d``, ``3y40d``. Below zero (another
    machine's clock) it is ``0s``.
    """
    s = max(0, int(seconds))
    minutes, hours, days, years = s // 60, s // 3600, s // 86400, s // (365 * 86400)
    if s < 120:
        return f"{s}s"
    if minutes < 10:
        return _two(minutes, "m", s % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if years < 2:
        return f"{days}d"
    if years < 8:
        return _two(years, "y", days % 365, "d")
    return f"{years}y"


def _two(first: int, first_unit: str, second: int, second_unit: str) -> str:
    return f"{first}{first_unit}{second}{second_unit}" if second else f"{first}{first_unit}"
