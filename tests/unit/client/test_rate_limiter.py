import threading

import pytest

from deltawire.client.rest.rate_limiter import TokenBucket
from deltawire.common.clock import FakeClock
from deltawire.common.errors import CapacityError, ConfigError


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    clock = FakeClock()
    bucket = TokenBucket(qps=5, burst=3, clock=clock)
    for _ in range(3):
        assert not bucket.wait()
    assert clock.now_s() == 0.0
    for _ in range(10):
        bucket.wait()
    assert clock.now_s() == pytest.approx(10 / 5)
    assert bucket.waited == 10


def test_an_idle_bucket_never_holds_more_than_its_burst() -> None:
    clock = FakeClock()
    bucket = TokenBucket(qps=100, burst=2, clock=clock)
    clock.advance(3600)
    assert [bucket.try_accept() for _ in range(3)] == [True, True, False]
    clock.advance(0.01)
    assert bucket.try_accept()


def test_a_wait_beyond_the_limit_is_refused_at_once_and_takes_nothing() -> None:
    clock = FakeClock()
    bucket = TokenBucket(qps=1, burst=1, wait_s_max=0.5, clock=clock)
    bucket.wait()
    for _ in range(3):
        with pytest.raises(CapacityError, match="rate limit of 1 requests a second"):
            bucket.wait()
    assert clock.now_s() == 0.0
    clock.advance(1.0)
    assert not bucket.wait()
    assert clock.now_s() == 1.0


def test_a_stopped_wait_gives_its_token_back() -> None:
    clock, stop = FakeClock(), threading.Event()
    bucket = TokenBucket(qps=1, burst=1, clock=clock)
    bucket.wait()
    stop.set()
    assert bucket.wait(stop)
    clock.advance(1.0)
    assert bucket.try_accept()


def test_threads_together_get_no_more_than_the_rate_allows() -> None:
    clock = FakeClock()  # stands still: only the burst may pass
    bucket = TokenBucket(qps=1, burst=50, clock=clock)
    passed: list[bool] = []
    threads = [
        threading.Thread(target=lambda: passed.extend(bucket.try_accept() for _ in range(20)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 50


@pytest.mark.parametrize(("qps", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_bucket_that_would_never_give_is_refused(qps: float, burst: int) -> None:
    with pytest.raises(ConfigError):
        TokenBucket(qps, burst)
