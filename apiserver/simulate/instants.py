"""Times as the API writes them, as numbers; and when a cron schedule is due."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

# A schedule that is due at no time within so many days (30 February) is due never.
DAYS_MAX = 366 * 5
_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_PIECE = re.compile(r"(?P<first>\*|\?|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>[0-9]+))?")


def seconds_of(text: str) -> float:
    """RFC 3339 as Unix seconds; 0 for what is no time."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


class Schedule(NamedTuple):
    """A cron line of five fields: the numbers at which each is due."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_any_day: bool
    is_any_weekday: bool

    def after(self, time_s: float, zone: tzinfo = UTC) -> float | None:
        """The first time (Unix seconds) later than ``time_s``; None if there is none in the next years."""
        # By the clock on the wall of that zone: each minute exists once, and an hour that is skipped is due after it.
        moment = datetime.fromtimestamp(time_s, zone).replace(second=0, microsecond=0) + timedelta(minutes=1)
        for _ in range(DAYS_MAX):
            if self._is_of_day(moment):
                for hour in sorted(h for h in self.hours if h >= moment.hour):
                    first = moment.minute if hour == moment.hour else 0
                    minute = min((m for m in self.minutes if m >= first), default=None)
                    if minute is not None:
                        return moment.replace(hour=hour, minute=minute).timestamp()
            moment = (moment + timedelta(days=1)).replace(hour=0, minute=0)
        return None

    def _is_of_day(self, moment: datetime) -> bool:
        if moment.month not in self.months:
            return False
        in_month, in_week = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        # Where both are restricted, either is enough.
        return in_month and in_week if self.is_any_day or self.is_any_weekday else in_month or in_week


def parse_schedule(text: str) -> Schedule:
    """Raises ValueError for what is no cron line."""
    fields = _ALIASES.get(text.strip().lower(), text).split()
    if len(fields) != len(_BOUNDS):
        raise ValueError(f"{text!r} has not five fields")
    names: tuple[tuple[str, ...], ...] = ((), (), (), _MONTHS, _DAYS)
    minutes, hours, days, months, weekdays = (
        _numbers(field, low, high, known)
        for field, (low, high), known in zip(fields, _BOUNDS, names, strict=True)
    )
    return Schedule(minutes, hours, days, months, weekdays, fields[2][:1] in "*?", fields[4][:1] in "*?")


def _numbers(field: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    numbers: set[int] = set()
    for piece in field.split(","):
        found = _PIECE.fullmatch(piece)
        if found is None:
            raise ValueError(f"{piece!r} is no part of a schedule")
        step = int(found["step"] or 1)
        if found["first"] in "*?":
            first, last = low, high
        else:
            first = _number(found["first"], low, names)
            last = _number(found["last"], low, names) if found["last"] else high if found["step"] else first
        if step < 1 or not low <= first <= high or not first <= last <= high:
            raise ValueError(f"{piece!r} is out of range")
        numbers.update(range(first, last + 1, step))
    return frozenset(numbers)


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    if text.isdecimal():
        return int(text)
    if text.lower() in names:
        return names.index(text.lower()) + low
    raise ValueError(f"{text!r} is no number")
