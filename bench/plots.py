"""Pictures of the results, as SVG: grouped bars with their figures, on a linear or a logarithmic scale."""

import math
from dataclasses import dataclass
from html import escape

from figures import Results
from report import RATE_NAMES

WIDTH, LEFT, ROW, GAP, TOP, BAR_MAX = 860, 170, 16, 12, 58, 560
COLOURS = ("#1f5fbf", "#b8860b", "#7a7a7a", "#8b5a99", "#4d8b5a", "#00838f", "#b5452c")
FONT = 'font-family="DejaVu Sans, Helvetica, Arial, sans-serif"'


@dataclass(frozen=True)
class Bars:
    """``groups``: a name and, for each contender in ``series``, its figure or None."""

    title: str
    series: list[str]
    groups: list[tuple[str, list[float | None]]]
    log: bool = False


def _length(value: float, least: float, most: float, log: bool) -> float:
    if not log:
        return value / most * BAR_MAX
    # A bar that is the least one keeps a visible length.
    span = math.log10(most / least) or 1.0
    return BAR_MAX * (0.08 + 0.92 * math.log10(value / least) / span)


def _text(x: float, y: float, words: str, size: int = 12, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" {FONT} fill="#222">'
        f"{escape(words)}</text>"
    )


def _label(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"


def draw(bars: Bars) -> str:
    """The picture's text."""
    values = [value for _, found in bars.groups for value in found if value]
    if not values:
        return ""
    least, most = min(values), max(values)
    body, y = [], TOP
    for name, found in bars.groups:
        body.append(_text(LEFT - 10, y + len(found) * ROW / 2 + 4, name, anchor="end"))
        for i, value in enumerate(found):
            if value:
                length = _length(value, least, most, bars.log)
                colour = COLOURS[i % len(COLOURS)]
                body.append(
                    f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{ROW - 3}" fill="{colour}"/>'
                )
                body.append(_text(LEFT + length + 5, y + ROW - 5, _label(value), 11))
            y += ROW
        y += GAP
    x, legend = float(LEFT), []
    for i, name in enumerate(bars.series):
        legend.append(f'<rect x="{x:.0f}" y="34" width="10" height="10" fill="{COLOURS[i % len(COLOURS)]}"/>')
        legend.append(_text(x + 14, 43, name, 11))
        x += 26 + 6.6 * len(name)
    title = bars.title + (" (logarithmic)" if bars.log else "")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" '
        f'role="img" aria-label="{escape(title)}">'
    )
    back = f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>'
    return "\n".join([head, back, _text(10, 22, title, 15), *legend, *body, "</svg>"]) + "\n"


def _rates(results: Results, title: str, field: str, rates: tuple[str, ...], log: bool) -> Bars:
    series = results.contenders("rates")
    groups = [
        (RATE_NAMES[rate], [results.get("rates", who, rate, field) for who in series]) for rate in rates
    ]
    return Bars(title, series, groups, log)


def _syncs(results: Results) -> Bars:
    series = [who for who in results.said["contenders"] if results.rows("sync 50k", who)]
    groups = [
        (name, [results.get("sync 50k", who, field) for who in series])
        for name, field in (("seconds", "seconds"), ("CPU µs an object", "cpu_us"), ("PSS MB", "pss_mb"))
    ]
    return Bars("First list, the larger one", series, groups, log=True)


def pictures(results: Results) -> dict[str, tuple[str, str]]:
    """File name → title and text."""
    found = {
        "events.svg": _rates(results, "Events a second", "events_per_s", ("2000", "full"), log=False),
        "cpu.svg": _rates(results, "CPU µs an event", "cpu_us", ("100", "500", "2000", "full"), log=False),
        "ages.svg": _rates(
            results, "Age when handled, p99 ms", "p99_ms", ("100", "500", "2000", "full80", "full"), log=True
        ),
        "first-list.svg": _syncs(results),
    }
    drawn = {file: (bars.title, draw(bars)) for file, bars in found.items()}
    return {file: found for file, found in drawn.items() if found[1]}
