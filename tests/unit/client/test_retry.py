import pytest

from deltawire.client.rest.retry import NO_RETRIES, RETRIES_MAX, RETRY_AFTER_S_MAX, RetryPolicy
from deltawire.common.errors import StatusError, TransportError

POLICY = RetryPolicy()


def status(code: int, after_s: float | None) -> StatusError:
    return StatusError(code, "", "x", retry_after_s=after_s)


@pytest.mark.parametrize("code", [429, 500, 503])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_server_that_says_when_is_asked_again_then(code: int, method: str):
    assert POLICY.delay_s(status(code, 3), method=method, retries=0) == 3


@pytest.mark.parametrize("error", [status(429, None), status(500, None), status(404, 1), status(302, 1)])
def test_other_answers_are_final(error: StatusError):
    assert POLICY.delay_s(error, method="GET", retries=0) is None


def test_a_wait_beyond_the_limit_is_the_callers_decision():
    assert POLICY.delay_s(status(429, RETRY_AFTER_S_MAX), method="GET", retries=0) == RETRY_AFTER_S_MAX
    assert POLICY.delay_s(status(429, RETRY_AFTER_S_MAX + 1), method="GET", retries=0) is None


def test_a_cut_connection_is_tried_again_for_reads_only():
    cut = TransportError("x", reason="reset")
    assert POLICY.delay_s(cut, method="GET", retries=0) == 1
    assert POLICY.delay_s(cut, method="POST", retries=0) is None
    assert POLICY.delay_s(TransportError("x", reason="refused"), method="GET", retries=0) is None


def test_retries_end():
    assert POLICY.delay_s(status(429, 1), method="GET", retries=RETRIES_MAX - 1) == 1
    assert POLICY.delay_s(status(429, 1), method="GET", retries=RETRIES_MAX) is None
    assert NO_RETRIES.delay_s(status(429, 1), method="GET", retries=0) is None
