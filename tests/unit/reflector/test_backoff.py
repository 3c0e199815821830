"""Back-off: client-go's figures, and a reset that needs real quiet."""

import random

import pytest

from deltawire.reflector.backoff import Backoff


def test_the_sequence_doubles_from_0_8_s_up_to_30_s() -> None:
    backoff = Backoff(random=lambda: 0.0)
    assert [backoff.next_s(0) for _ in range(8)] == pytest.approx([0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30])


def test_jitter_spreads_a_delay_over_itself_to_its_double() -> None:
    seeded = random.Random(1)
    delays_s = [Backoff(random=seeded.random).next_s(0) for _ in range(1000)]
    assert 0.8 <= min(delays_s) < 0.85
    assert 1.55 < max(delays_s) < 1.6


def test_without_jitter_the_delay_is_exact() -> None:
    assert Backoff(jitter=0, random=lambda: 0.99).next_s(0) == 0.8


def test_an_unbroken_outage_never_falls_back_to_the_first_delay() -> None:
    backoff = Backoff(random=random.Random(2).random)
    now_s, delays_s = 0.0, []
    while now_s < 3600:
        delays_s.append(backoff.next_s(now_s))
        now_s += delays_s[-1] + 5  # each attempt takes 5 s to fail
    assert all(delay_s >= 30 for delay_s in delays_s[6:])


def test_the_sequence_starts_again_only_after_quiet_since_the_last_delay_ended() -> None:
    backoff = Backoff(random=lambda: 0.0)
    for _ in range(7):
        backoff.next_s(0)
    assert backoff.next_s(100) == 30  # ends at 130
    assert backoff.next_s(249) == 30  # 119 s of quiet are not enough; ends at 279
    assert backoff.next_s(399) == 0.8  # 120 s are


def test_attempts_count_since_the_last_reset() -> None:
    backoff = Backoff()
    backoff.next_s(0)
    backoff.next_s(1)
    assert backoff.attempts == 2
    backoff.reset()
    assert backoff.attempts == 0


def test_a_sequence_without_growth_stays_at_its_base() -> None:
    backoff = Backoff(base_s=2, factor=1, cap_s=2, random=lambda: 0.0)
    assert [backoff.next_s(0) for _ in range(3)] == [2, 2, 2]


@pytest.mark.parametrize(
    "bad", [{"base_s": 0}, {"cap_s": 0.1}, {"factor": 0.5}, {"jitter": -1}, {"reset_after_s": -1}]
)
def test_figures_that_make_no_back_off_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a back-off needs"):
        Backoff(**bad)  # type: ignore[arg-type]  # every case names a float parameter
