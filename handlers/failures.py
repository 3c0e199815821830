"""What is said of a function that raised: its traceback in the author's own frames, once, then how often again.

Not here: what becomes of the event (``dispatch``), how a line is shown (``common.logs``, the command line's views).
"""

import logging
import sysconfig
import threading
import traceback
from collections import OrderedDict
from dataclasses import dataclass
from types import TracebackType

from deltawire.common.clock import Clock

# The same failure is told again at most this often, with how often it was seen meanwhile.
AGAIN_EVERY_S = 10.0
# So many different failures are remembered, the least recent go first.
FAILURES_MAX = 256
# Of one traceback in a log; the innermost frames are kept.
FRAMES_MAX = 12

_OURS = "deltawire."
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


@dataclass(slots=True)
class _Seen:
    told_s: float
    since: int = 0


class Failures:
    """Tells failures to a log. Safe to use from several threads."""

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()

    def tell(self, key: str, attempt: int, error: BaseException) -> str:
        """Log the failure of a call for ``key``. Returns what is kept of it: a line, then its traceback."""
        own = own_frames(error)
        place = place_of(own)
        line = f"{type(error).__name__}: {said_of(error)}"
        if isinstance(error, SystemExit):
            line += " (a function cannot end its process: raise Retry or Dead, or return)"
        times = self._count((type(error).__name__, place))
        if times == 0:
            self._log.warning("%s: attempt %d failed", key, attempt, exc_info=(type(error), error, own))
        elif times > 0:
            at = f" ({place})" if place else ""
            self._log.warning("%s: attempt %d failed, again ×%d: %s%s", key, attempt, times, line, at)
        return sendable(f"{line}\n{text_of(error)}")

    def _count(self, failure: tuple[str, str]) -> int:
        """0: never seen; above: how often since it was told; -1: it is not to be told now."""
        now_s = self._clock.now_s()
        with self._lock:
            seen = self._seen.get(failure)
            if seen is None:
                self._seen[failure] = _Seen(now_s)
                if len(self._seen) > FAILURES_MAX:
                    self._seen.popitem(last=False)
                return 0
            self._seen.move_to_end(failure)
            seen.since += 1
            if now_s - seen.told_s < AGAIN_EVERY_S:
                return -1
            times, seen.since, seen.told_s = seen.since, 0, now_s
            return times


def said_of(why: object) -> str:
    """The text of an exception, or of what an author gave for one; for any object, and without raising."""
    try:
        return sendable(str(why))
    except Exception as error:
        return f"(its text cannot be read: {type(error).__name__})"


def sendable(text: str) -> str:
    """``text`` without lone surrogates (a file's name that is no UTF-8 has them): no message can carry those."""
    return text.encode("utf-8", "backslashreplace").decode()


def own_frames(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame that is neither ours nor a library's; the whole one where there is none."""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        is_ours = trace.tb_frame.f_globals.get("__name__", "").startswith(_OURS)
        if not is_ours and not code.co_filename.startswith(_LIBRARIES):
            return trace
        trace = trace.tb_next
    return error.__traceback__


def place_of(trace: TracebackType | None) -> str:
    """``file.py:12``: the innermost frame of the author's own, "" where there is none."""
    place = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith((*_LIBRARIES, "<")):
            is_ours = trace.tb_frame.f_globals.get("__name__", "").startswith(_OURS)
            place = place if is_ours else f"{code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def text_of(error: BaseException) -> str:
    """The traceback as Python prints it, from the author's first frame, without the line that names the error."""
    frames = traceback.extract_tb(own_frames(error))[-FRAMES_MAX:]
    return "Traceback (most recent call last):\n" + "".join(traceback.format_list(frames)).rstrip("\n")


def shortened(text: str, chars_max: int) -> str:
    """A failure's text in ``chars_max`` characters: its first line, and the end of its traceback."""
    if len(text) <= chars_max:
        return text
    line, _, trace = text.partition("\n")
    left = chars_max - len(line) - len("\n…\n")
    if not trace or left <= 0:
        return text[:chars_max]
    return f"{line}\n…\n{trace[-left:]}"
