"""Numbers as people read them in a row of others."""


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
