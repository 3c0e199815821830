"""What the end of a watch means for what follows: the table of docs/watches.md. Pure."""

from enum import Enum

from deltawire.common.errors import DeltawireError, StatusError, TransportError

# Ends of a watch in a row, at one version and without an event or a bookmark, after which the version is left.
KEPT_OUT_MAX = 5
# A watch that ended within so long of its opening counts among them.
EARLY_S = 5.0
# Unreadable watches in a row: a version that the server can no longer give a readable watch from is as good as gone.
UNREADABLE_MAX = 3
# Answers that say nothing of the version: who we are, what we may, the load.
_ABOUT_US = (401, 403, 429)
# Answers that the same version always gets.
_ABOUT_THE_VERSION = (400, 422)


class Verdict(Enum):
    LIST_NOW = "the version is gone: list at once"
    LIST = "list, as soon as the bounds of such lists allow it"
    COUNT = "watch again after a delay; five in a row: list"
    UNREADABLE = "watch again after a delay; three in a row: list"
    AGAIN = "watch again after a delay"
    RESUME = "watch again"


def verdict_of(error: DeltawireError, *, in_stream: bool) -> Verdict:
    """``in_stream``: the error was an ERROR event; else it was the answer to the opening, or there was none."""
    if isinstance(error, TransportError):
        return Verdict.UNREADABLE if error.reason == "garbage" else Verdict.AGAIN
    if not isinstance(error, StatusError):
        return Verdict.AGAIN
    if is_version_gone(error) or error.code in _ABOUT_THE_VERSION:
        return Verdict.LIST_NOW
    if in_stream:
        return Verdict.AGAIN if error.code == 429 else Verdict.LIST
    if is_passing(error):
        return Verdict.AGAIN
    return Verdict.COUNT


def is_version_gone(error: StatusError) -> bool:
    """The version asked for is no longer kept, or lies in the server's future."""
    return error.is_expired or error.is_too_large_version or error.code == 410


def is_passing(error: DeltawireError) -> bool:
    """True for an answer that says nothing of what was asked for: the same is asked again later."""
    if not isinstance(error, StatusError):
        return True
    return error.code in _ABOUT_US or error.retry_after_s is not None
