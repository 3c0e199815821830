"""What can go wrong on purpose: the kinds of faults, and what one of them meets."""

from dataclasses import dataclass
from typing import Any

from deltawire.common.errors import StatusError

LATENCY = "latency"
THROTTLE = "throttle"
ERROR = "error"
UNAUTHORIZED = "unauthorized"
DROP = "drop"
BARE_STATUS = "bare-status"
CUT = "cut"
BLACK_HOLE = "black-hole"
SLOW = "slow"
NO_BOOKMARKS = "no-bookmarks"
NO_INITIAL_END = "no-initial-end"
ERROR_EVENT = "error-event"

GARBAGE = "garbage"
HALF = "half"
WRONG_LENGTH = "wrong-length"
TLS_REFUSED = "tls-refused"
TLS_STRANGER = "tls-stranger"
TLS_EXPIRED = "tls-expired"

# Kind to (what its value means, the value without one).
# Request faults meet a request before it is answered, answer faults spoil what was answered (but not watches), watch
# faults meet open watches, connection faults the handshakes of new connections.
REQUEST_FAULTS = {
    LATENCY: ("seconds each request waits", 1.0),
    THROTTLE: ("seconds in Retry-After of the 429", 1.0),
    ERROR: ("the HTTP code, 400 to 599", 500.0),
    UNAUTHORIZED: ("", 0.0),
    DROP: ("", 0.0),
    BARE_STATUS: ("the code in the Status, 400 to 599; the answer is 200", 500.0),
}
ANSWER_FAULTS = {
    GARBAGE: ("", 0.0),
    HALF: ("", 0.0),
    WRONG_LENGTH: ("bytes that are promised beyond those sent", 10.0),
    SLOW: ("bytes a second", 1024.0),
}
WATCH_FAULTS = {
    CUT: ("events after which the stream breaks off", 1.0),
    BLACK_HOLE: ("", 0.0),
    SLOW: ("bytes a second", 1024.0),
    NO_BOOKMARKS: ("", 0.0),
    NO_INITIAL_END: ("", 0.0),
    GARBAGE: ("", 0.0),
    HALF: ("", 0.0),
    ERROR_EVENT: ("the code in the Status, 400 to 599; 0: none", 500.0),
}
CONNECTION_FAULTS = {TLS_REFUSED: ("", 0.0), TLS_STRANGER: ("", 0.0), TLS_EXPIRED: ("", 0.0)}
# Those whose Status may be given.
_TELLING = (ERROR, BARE_STATUS, ERROR_EVENT)
KINDS = REQUEST_FAULTS | ANSWER_FAULTS | WATCH_FAULTS | CONNECTION_FAULTS
LATENCY_MAX_S = 3600.0


@dataclass(frozen=True, slots=True)
class Came:
    """A request as faults look at it. ``resource`` and ``verb`` are "" where it is for no resource (discovery,
    health); ``user`` is the name that it acts for."""

    resource: str
    verb: str
    path: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """``resource`` (``pods``, ``deployments.apps``), ``verb``, ``path`` and ``user`` narrow it down; "" means any.

    ``path`` is the path of a URL, or the beginning of one and ``*``. Requests that are for no resource are met
    only by a fault with a path.

    ``count`` is how many requests or watches it meets before it is gone; None until it is cleared. ``share`` of those
    that it could meet are met, at random; ``lasts_s`` after it was set it is gone (None: never). ``reason`` and
    ``message`` are those of an error's Status, where the usual ones are not meant.
    """

    kind: str
    value: float | None = None
    resource: str = ""
    verb: str = ""
    count: int | None = None
    path: str = ""
    user: str = ""
    share: float = 1.0
    lasts_s: float | None = None
    reason: str = ""
    message: str = ""
    id: int = 0
    met: int = 0

    @property
    def amount(self) -> float:
        """``value``, or what the kind has without one."""
        default = KINDS[self.kind][1]
        return default if self.value is None else self.value

    def matches(self, came: Came) -> bool:
        if self.kind in CONNECTION_FAULTS:
            return True
        if not came.resource and not self.path:
            return False
        narrowed = self.resource in ("", came.resource) and self.verb in ("", came.verb)
        return narrowed and self.user in ("", came.user) and self._is_of_path(came.path)

    def _is_of_path(self, path: str) -> bool:
        if self.path.endswith("*"):
            return path.startswith(self.path[:-1])
        return self.path in ("", path)

    def as_tree(self) -> dict[str, Any]:
        """As the admin endpoint shows it: ``left`` is None for a fault without a count."""
        left = None if self.count is None else self.count - self.met
        shown = {"id": self.id, "kind": self.kind, "value": self.amount, "met": self.met, "left": left}
        shown |= {"resource": self.resource, "verb": self.verb, "path": self.path, "user": self.user}
        return shown | {
            "share": self.share,
            "lasts_s": self.lasts_s,
            "reason": self.reason,
            "message": self.message,
        }


def check(fault: Fault) -> None:
    """Raises StatusError 400 for a fault that makes no sense."""
    if fault.kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise _bad(f"unknown fault {fault.kind!r}: one of {known}")
    if fault.count is not None and fault.count < 1:
        raise _bad(f"count: {fault.count} is not at least 1")
    if not 0 < fault.share <= 1:
        raise _bad(f"share: {fault.share:g} is not above 0 and at most 1")
    if fault.lasts_s is not None and not 0 < fault.lasts_s < float("inf"):
        raise _bad(f"lasts_s: {fault.lasts_s:g} is not a number of seconds above 0")
    narrowed = fault.resource or fault.verb or fault.path or fault.user
    if fault.kind in CONNECTION_FAULTS and narrowed:
        raise _bad(
            f"{fault.kind} meets connections: before anything is asked there is no resource, verb, path or user"
        )
    if (fault.reason or fault.message) and fault.kind not in _TELLING:
        raise _bad(f"reason, message: {fault.kind} sends no Status of its own")
    amount = fault.amount
    if not 0 <= amount < float("inf"):
        raise _bad(f"value: {amount} is not a number from 0 on")
    # The Status of an ERROR event may have no code at all.
    is_code = (400 <= amount <= 599 and amount == int(amount)) or (fault.kind == ERROR_EVENT and not amount)
    if fault.kind in (ERROR, BARE_STATUS, ERROR_EVENT) and not is_code:
        raise _bad(f"value: {amount:g} is not an HTTP code from 400 to 599")
    if fault.path and not fault.path.startswith("/"):
        raise _bad(f"path: {fault.path!r} does not begin with a slash")
    if fault.kind == LATENCY and amount > LATENCY_MAX_S:
        raise _bad(f"value: at most {LATENCY_MAX_S:g} seconds")
    if fault.kind == SLOW and amount < 1:
        raise _bad("value: at least 1 byte a second")


def _bad(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)
