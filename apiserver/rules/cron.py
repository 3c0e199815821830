"""Schedules of CronJobs: what keeps a text from being one, in the words of the library that real clusters use."""

import re
from zoneinfo import ZoneInfo

_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = {
    "jan": 1,
    "feb": 2,
    "mar": 3,
    "apr": 4,
    "may": 5,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "sep": 9,
    "oct": 10,
    "nov": 11,
    "dec": 12,
}
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_WORDS: tuple[dict[str, int], ...] = ({}, {}, {}, _MONTHS, _DAYS)
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_EVERY = "@every "
_DURATION = re.compile(r"[+-]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+")


def schedule_problem(schedule: str) -> str:
    """ "" for a good schedule."""
    if not schedule.startswith("@"):
        fields = schedule.split()
        if len(fields) != len(_FIELDS):
            return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
        return next((why for why in map(_field_problem, fields, range(len(fields))) if why), "")
    if schedule.startswith(_EVERY):
        period = schedule.removeprefix(_EVERY)
        return "" if _DURATION.fullmatch(period) else _no_duration(schedule, period)
    return "" if schedule in _DESCRIPTORS else f"unrecognized descriptor: {schedule}"


def zone_problem(name: str) -> str:
    """ "" for a time zone that is known."""
    if not name:
        return "timeZone must be nil or non-empty string"
    if name.lower() == "local":
        return "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return f"unknown time zone {name}"
    return ""


def _no_duration(schedule: str, period: str) -> str:
    return f'failed to parse duration {schedule}: time: invalid duration "{period}"'


def _field_problem(field: str, place: int) -> str:
    return next((why for part in field.split(",") if part and (why := _range_problem(part, place))), "")


def _range_problem(text: str, place: int) -> str:
    low, high = _FIELDS[place]
    bounds, slash, step = text.partition("/")
    first, dash, last = bounds.partition("-")
    if first in ("*", "?"):
        start, end = low, high
    else:
        numbers = [_number(part, _WORDS[place]) for part in ((first, last) if dash else (first,))]
        for number in numbers:
            if isinstance(number, str):
                return number
        known = [number for number in numbers if isinstance(number, int)]
        start, end = known[0], known[-1] if dash or not slash else high
    if slash:
        size = _number(step, {})
        if isinstance(size, str):
            return size
        if size == 0:
            return f"step of range should be a positive number: {text}"
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {text}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {text}"
    return f"beginning of range ({start}) beyond end of range ({end}): {text}" if start > end else ""


def _number(text: str, words: dict[str, int]) -> int | str:
    """The number, or why it is none."""
    if text.lower() in words:
        return words[text.lower()]
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
    number = int(text)
    return number if number >= 0 else f"negative number ({number}) not allowed: {text}"
