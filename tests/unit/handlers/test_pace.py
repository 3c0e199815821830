"""Calls of a handler begin at a rate, for all keys together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltawire import Handler
from deltawire.common.config.load import parse
from deltawire.common.errors import PluginError
from deltawire.handlers.pace import Pace
from deltawire.handlers.settings import settle


def settled(handler, **entry):
    config = parse({"version": 1, "handlers": [{"name": "h", "run": "h.py", **entry}]})
    return settle(config.handlers[0], handler)


def test_a_burst_begins_at_once_and_then_one_call_as_each_token_is_earned():
    pace = Pace(2.0, 3, now_s=100.0)
    assert pace.room(100.0) == 3
    pace.took(3)
    assert (pace.room(100.2), pace.due_s) == (0, 100.5)
    assert pace.room(100.5) == 1
    pace.took(1)
    assert pace.room(1000.0) == 3, "no more than the burst, after any pause"


def test_without_a_burst_it_is_what_a_second_brings_at_least_one():
    assert Pace(2.5, None, 0.0).room(0.0) == 3
    assert Pace(0.1, None, 0.0).room(0.0) == 1


@given(
    st.floats(0.1, 1000), st.integers(1, 50), st.lists(st.tuples(st.floats(0, 5), st.integers(0, 60)), max_size=60)
)
def test_no_more_begin_in_any_time_than_the_rate_and_one_burst_allow(rate, burst, steps):
    pace, now_s, begun = Pace(rate, burst, 0.0), 0.0, 0
    for passed_s, wanted in steps:
        now_s += passed_s
        taken = min(wanted, pace.room(now_s))
        pace.took(taken)
        begun += taken
        assert begun <= burst + rate * now_s + 1e-6
        if not pace.room(now_s):
            assert pace.due_s > now_s - 1e-6
            assert Pace.room(pace, pace.due_s) >= 1, "the call is due when it says"
            now_s = max(now_s, pace.due_s)


def test_the_configs_word_comes_before_the_plug_ins():
    handler = Handler("h", rate_per_s=5, burst=7)
    assert (settled(handler).rate_per_s, settled(handler).burst) == (5, 7)
    found = settled(handler, rate_per_s=1.5, burst=2)
    assert (found.rate_per_s, found.burst) == (1.5, 2)
    assert settled(Handler("h")).pace(0.0) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate_per_s": 0}, "rate_per_s=0 is not above 0"),
        ({"rate_per_s": float("inf")}, "is not above 0"),
        ({"burst": 3}, "burst=3 is a number of calls from 1 on, beside rate_per_s"),
        ({"rate_per_s": 1, "burst": 0}, "burst=0"),
    ],
)
def test_a_rate_that_cannot_be_meant_is_refused(options, said):
    with pytest.raises(PluginError) as raised:
        Handler("h", **options)
    assert said in str(raised.value)
