"""docs/watches.md, row by row: what the server says of a watch, and what follows."""

import re
from pathlib import Path

import pytest

from deltawire.common.errors import CredentialsError, StatusError, TransportError
from deltawire.reflector.action import Watch
from deltawire.reflector.identity import ClusterUnknownError
from deltawire.reflector.states import State
from tests.support.reflector_bench import EXPIRED, TOO_LARGE, Bench, added, bookmark, failed_event

LIST = "list"
BOUNDED = "list, within the bounds"
FIVE = "watch again after a delay; the fifth in a row: list, within the bounds"
THREE = "watch again after a delay; the third in a row: list, within the bounds"
AGAIN = "watch again after a delay"
AT_ONCE = "watch again"

INTERNAL = StatusError(500, "InternalError", "etcdserver: mvcc: required revision has been compacted")
NO_CODE = StatusError(500, "InternalError", "a Status without a code and without a reason")
GONE_IN_BODY = StatusError(410, "Expired", "too old resource version")
UNAVAILABLE = StatusError(503, "ServiceUnavailable", "starting")
FORBIDDEN = StatusError(403, "Forbidden", "pods is forbidden")
UNAUTHORIZED = StatusError(401, "Unauthorized", "Unauthorized")
BUSY = StatusError(429, "TooManyRequests", "slow down")
LATER = StatusError(503, "ServiceUnavailable", "busy", retry_after_s=2.0)
MISSING = StatusError(404, "NotFound", "no such resource")
INVALID = StatusError(400, "BadRequest", "invalid resource version")
GARBAGE = TransportError("an event cannot be read", reason="garbage")
RESET = TransportError("cut", reason="reset")


def answer(error):
    """The opening of a watch fails."""
    return lambda bench: bench.failed(error)


def event(error):
    """A watch that lived longer than an early end ends in an ERROR event."""

    def happens(bench):
        bench.opened()
        bench.now_s += 20
        return bench.batch(failed_event(error))

    return happens


def ends(after_s, news=None, error=None):
    def happens(bench):
        bench.opened()
        if news is not None:
            bench.batch(news(bench))
        return bench.failed(error, after_s) if error else bench.closed(after_s)

    return happens


def bookmarked(bench):
    return bookmark(str(int(bench.machine.version) + 1))


def changed(bench):
    return added(str(int(bench.machine.version) + 1))


# what the server says → (what happens, what follows)
ROWS = {
    "410, or reason Expired or Gone": (answer(EXPIRED), LIST),
    "504 with cause ResourceVersionTooLarge": (answer(TOO_LARGE), LIST),
    "400, 422": (answer(INVALID), LIST),
    "401": (answer(UNAUTHORIZED), AGAIN),
    "403": (answer(FORBIDDEN), AGAIN),
    "429": (answer(BUSY), AGAIN),
    "any code with Retry-After": (answer(LATER), AGAIN),
    "404": (answer(MISSING), FIVE),
    "500 and other 5xx": (answer(UNAVAILABLE), FIVE),
    "ERROR 410, or reason Expired or Gone": (event(EXPIRED), LIST),
    "ERROR 429": (event(BUSY), AGAIN),
    "ERROR 500": (event(INTERNAL), BOUNDED),
    "ERROR 401, 403": (event(FORBIDDEN), BOUNDED),
    "ERROR with a Status without a code: by its reason; none: 500": (event(NO_CODE), BOUNDED),
    "ERROR that is no Status, an event that cannot be read": (event(GARBAGE), THREE),
    "a bare Status 410 as the body of a 200": (event(GONE_IN_BODY), LIST),
    "another bare Status as the body of a 200": (event(INTERNAL), BOUNDED),
    "a proper end within 5 s, nothing came": (ends(0.5), FIVE),
    "a cut within 5 s, nothing came": (ends(2, error=RESET), FIVE),
    "a proper end later, or after an event or a bookmark": (ends(30), AT_ONCE),
    "a cut after an event or a bookmark": (ends(1, news=bookmarked, error=RESET), AT_ONCE),
    "a cut later, nothing came": (ends(30, error=RESET), AGAIN),
    "no answer: refused, time-out, DNS, TLS, unreachable": (
        answer(TransportError("refused", reason="refused")),
        AGAIN,
    ),
    "credentials that could not be had": (answer(CredentialsError("no plug-in")), AGAIN),
    "the cluster's id cannot be read": (answer(ClusterUnknownError("403")), AGAIN),
}


def ends_until_list(happens, most=12):
    """How often it happens before the stream lists; None if it never does. Delays between are waited for."""
    bench = Bench()
    bench.start(resume="10")
    for times in range(1, most + 1):
        happens(bench)
        if bench.machine.state is State.LISTING:
            return times
        if bench.machine.state is State.BACKOFF:
            bench.later(bench.machine.retry_at_s - bench.now_s)
    return None


@pytest.mark.parametrize("said", ROWS)
def test_each_thing_a_server_can_say_of_a_watch_has_its_answer(said):
    happens, follows = ROWS[said]
    times = ends_until_list(happens)
    assert times == {LIST: 1, BOUNDED: 1, FIVE: 5, THREE: 3, AGAIN: None, AT_ONCE: None}[follows]
    if times is None:
        fresh = Bench()
        fresh.start(resume="10")
        actions = happens(fresh)
        assert [type(a) for a in actions if isinstance(a, Watch)] == ([Watch] if follows == AT_ONCE else [])
        assert fresh.machine.state is (State.WATCHING if follows == AT_ONCE else State.BACKOFF)


@pytest.mark.parametrize("said", [said for said, (_, follows) in ROWS.items() if follows == FIVE])
def test_an_event_or_a_bookmark_between_begins_the_count_anew(said):
    happens, _ = ROWS[said]
    bench = Bench()
    bench.start(resume="10")
    for _ in range(4):
        for _ in range(4):
            happens(bench)
            bench.later(bench.machine.retry_at_s - bench.now_s)
        bench.opened()
        bench.batch(changed(bench))
        bench.failed(RESET)
    assert bench.machine.lists == 0


def test_the_page_has_the_rows_of_this_test():
    page = Path(__file__).parents[3] / "docs" / "watches.md"
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| [^|]+ \|$", page.read_text(), re.M)
    told = {said: follows for said, follows in rows if said not in ("what the server says", "---")}
    assert told == {said: follows for said, (_, follows) in ROWS.items()}
