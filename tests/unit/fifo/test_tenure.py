"""A broker's lead of an informer by a Lease: what is known of it, and how it is named."""

from pathlib import Path

import pytest

from deltawire.fifo.relay.lead_names import NAME_CHARS_MAX, holder_name, host_name, is_of, lease_name
from deltawire.fifo.relay.tenure import Tenure, Times

TIMES = Times(15.0)


def test_the_times_follow_from_the_lease_and_leave_room_for_a_second_try() -> None:
    assert (TIMES.renew_s, TIMES.valid_s, TIMES.look_s) == (5, 10, 2.5)
    for lease_s in (5.0, 15.0, 600.0):
        times = Times(lease_s)
        assert times.renew_s + times.request_s < times.valid_s < times.lease_s
        assert times.unfit_s + times.renew_s + times.look_s < times.lease_s


@pytest.mark.parametrize(
    ("events", "now_s", "is_held", "is_valid"),
    [
        ([], 0, False, False),
        ([("renewed", 0)], 9.9, True, True),
        # Nobody is seen to have it: who leads goes on, and begins nothing.
        ([("renewed", 0)], 10, True, False),
        ([("renewed", 0)], 10_000, True, False),
        ([("renewed", 0), ("renewed", 5)], 14.9, True, True),
        ([("renewed", 0), ("ended",)], 1, False, False),
        ([("renewed", 0), ("ended",), ("renewed", 20)], 21, True, True),
    ],
)
def test_who_has_begun_goes_on_until_another_one_is_seen(
    events: list[tuple[str, float]], now_s: float, is_held: bool, is_valid: bool
) -> None:
    tenure = Tenure(TIMES)
    for name, *instants in events:
        getattr(tenure, name)(*instants)
    assert (tenure.is_held, tenure.is_valid(now_s)) == (is_held, is_valid)


def test_one_that_can_publish_nothing_for_long_gives_it_back() -> None:
    tenure = Tenure(TIMES)
    assert not tenure.unfit(0)
    assert not tenure.unfit(100), "it has nothing to give back"
    tenure.renewed(100)
    assert [tenure.unfit(at_s) for at_s in (105, 109, 110)] == [False, False, True]
    tenure.renewed(120)
    assert not tenure.unfit(126), "it was fit in between"


def test_one_that_could_publish_in_between_counts_anew() -> None:
    """An API server that answers now and then, and JetStream that does not at two moments far from each other."""
    tenure = Tenure(TIMES)
    tenure.renewed(0)
    assert not tenure.unfit(5)
    tenure.fit()
    assert not tenure.unfit(60)
    assert tenure.unfit(60 + TIMES.unfit_s)


def test_a_holder_renews_and_others_look_more_often() -> None:
    tenure = Tenure(TIMES)
    assert tenure.wait_s(True) == TIMES.look_s
    tenure.renewed(0)
    assert tenure.wait_s(True) == TIMES.renew_s
    assert tenure.wait_s(False) == TIMES.look_s


def test_each_informer_has_a_lease_whose_name_the_api_server_takes() -> None:
    assert lease_name("deltawire", "dev/deployments.apps") == "deltawire.dev.deployments.apps"
    long = "w" * 63 + "." + "g" * 180 + ".example"
    names = {lease_name("deltawire", f"dev/{long}{end}") for end in ("", ".com", ".org")}
    assert len(names) == 3
    assert all(len(name) <= NAME_CHARS_MAX for name in names)


def test_a_broker_is_known_by_its_place_and_its_nonce() -> None:
    here, there = host_name("node", Path("/run/a")), host_name("node", Path("/run/b"))
    assert here != there
    assert is_of(here, holder_name(here, "1234"))
    assert not is_of(here, holder_name(there, "1234"))
    assert not is_of(here, "")
