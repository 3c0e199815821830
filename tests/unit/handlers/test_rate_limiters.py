"""Rate limiters: client-go's figures (default_rate_limiters_test.go)."""

import random

import pytest

from deltawire.common.clock import FakeClock
from deltawire.handlers.rate_limiters import (
    Bucket,
    ItemExponential,
    ItemFastSlow,
    MaxOf,
    RateLimiter,
    WithJitter,
    WithMaxWait,
    default_controller_limiter,
    default_item_limiter,
)


def delays(limiter: RateLimiter[str], item: str, times: int) -> list[float]:
    return [limiter.when(item) for _ in range(times)]


def test_exponential_doubles_per_item_up_to_its_cap() -> None:  # TestItemExponentialFailureRateLimiter
    limiter = ItemExponential[str](0.001, 1.0)
    assert delays(limiter, "one", 5) == pytest.approx([0.001, 0.002, 0.004, 0.008, 0.016])
    assert delays(limiter, "two", 2) == pytest.approx([0.001, 0.002])
    assert limiter.num_requeues("one") == 5
    assert delays(limiter, "one", 10)[-1] == 1.0


def test_forgetting_starts_an_item_again_and_no_other() -> None:
    limiter = ItemExponential[str](0.001, 1.0)
    delays(limiter, "one", 3)
    delays(limiter, "two", 3)
    limiter.forget("one")
    limiter.forget("never seen")
    assert limiter.num_requeues("one") == 0
    assert limiter.when("one") == 0.001
    assert limiter.num_requeues("two") == 3


def test_exponential_never_overflows() -> None:  # ...OverFlow
    limiter = ItemExponential[str](0.005, 1000.0)
    assert delays(limiter, "one", 1100)[-1] == 1000.0
    assert delays(ItemExponential[str](1.0, 3600.0), "one", 2000)[-1] == 3600.0


def test_fast_then_slow() -> None:  # TestItemFastSlowRateLimiter
    limiter = ItemFastSlow[str](0.005, 10.0, 3)
    assert delays(limiter, "one", 5) == [0.005, 0.005, 0.005, 10.0, 10.0]
    assert limiter.num_requeues("one") == 5
    assert delays(limiter, "two", 1) == [0.005]
    limiter.forget("one")
    assert limiter.num_requeues("one") == 0
    assert delays(limiter, "one", 1) == [0.005]


def test_the_longest_of_several_wins_and_all_of_them_count() -> None:  # TestMaxOfRateLimiter
    fast_slow, exponential = ItemFastSlow[str](0.005, 3.0, 3), ItemExponential[str](0.001, 1.0)
    limiter = MaxOf[str](fast_slow, exponential)
    assert delays(limiter, "one", 4) == pytest.approx([0.005, 0.005, 0.005, 3.0])
    assert (fast_slow.num_requeues("one"), exponential.num_requeues("one")) == (4, 4)
    fast_slow.forget("one")
    assert limiter.num_requeues("one") == 4
    assert limiter.when("one") == pytest.approx(0.016)
    limiter.forget("one")
    assert limiter.num_requeues("one") == 0


def test_a_longest_wait_cuts_every_delay() -> None:  # TestWithMaxWaitRateLimiter
    limiter = WithMaxWait(ItemExponential[str](0.005, 1000.0), 1.0)
    assert max(delays(limiter, "one", 20)) == 1.0
    assert limiter.num_requeues("one") == 20
    limiter.forget("one")
    assert limiter.when("one") == 0.005


def test_a_bucket_lets_its_burst_through_and_then_its_rate() -> None:
    clock = FakeClock()
    bucket = Bucket(10, 3, clock=clock)
    assert delays(bucket, "any", 6) == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3])
    clock.advance(0.3)
    assert bucket.when("any") == pytest.approx(0.1)
    clock.advance(1000)  # it never holds more than its burst
    assert delays(bucket, "any", 4) == pytest.approx([0, 0, 0, 0.1])


def test_a_bucket_forgets_nothing_and_counts_nothing() -> None:
    bucket = Bucket(10, 1, clock=FakeClock())
    delays(bucket, "one", 2)
    bucket.forget("one")
    assert bucket.num_requeues("one") == 0
    assert bucket.when("one") == pytest.approx(0.2)


def test_jitter_spreads_a_delay_above_itself() -> None:
    seeded = random.Random(3)
    limiter = WithJitter(ItemFastSlow[str](1.0, 1.0, 1), 0.5, seeded.random)
    found = delays(limiter, "one", 500)
    assert 1.0 <= min(found) < 1.05
    assert 1.45 < max(found) < 1.5
    assert limiter.num_requeues("one") == 500
    limiter.forget("one")
    assert limiter.num_requeues("one") == 0


def test_a_controller_waits_5_ms_doubled_up_to_1000_s_and_shares_10_per_second() -> None:
    limiter = default_controller_limiter(FakeClock())
    assert delays(limiter, "one", 3) == pytest.approx([0.005, 0.01, 0.02])
    assert limiter.when("one") == pytest.approx(0.04)
    crowd = [limiter.when(f"other {number}") for number in range(100)]
    assert crowd[95] == pytest.approx(0.005)  # the hundredth of the burst
    assert crowd[96:] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_items_alone_wait_1_ms_doubled_up_to_1000_s() -> None:
    found = delays(default_item_limiter(), "one", 30)
    assert found[:3] == pytest.approx([0.001, 0.002, 0.004])
    assert found[-1] == 1000.0


def test_limiters_that_limit_nothing_are_refused() -> None:
    for rate_per_s, burst in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="a bucket needs"):
            Bucket(rate_per_s, burst)
    with pytest.raises(ValueError, match="no limiters"):
        MaxOf[str]()
