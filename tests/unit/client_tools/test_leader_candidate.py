import pytest

from deltawire.client.tools.leader_election.candidate import Candidate
from deltawire.client.tools.leader_election.record import LeaseRecord, from_spec, to_spec

THEIRS = LeaseRecord("b", 15, 100.0, 100.0, 3)


def test_a_lease_of_another_is_left_alone_until_it_was_still_for_its_duration():
    me = Candidate("a", 15)
    me.observe(THEIRS, now_s=50)
    assert me.wanted(64.9, 0) is None
    assert me.wanted(65, 7) == LeaseRecord("a", 15, 7, 7, 4)


def test_expiry_is_counted_from_what_we_saw_and_not_from_what_the_lease_says():
    me = Candidate("a", 15)
    me.observe(LeaseRecord("b", 15, 0.0, 0.0, 3), now_s=50)  # renewed in 1970, by a clock that is wrong
    assert me.wanted(60, 1e9) is None
    me.observe(LeaseRecord("b", 15, 0.0, 5.0, 3), now_s=60)  # it changed: alive
    assert me.wanted(70, 1e9) is None


def test_seeing_the_same_again_is_no_sign_of_life():
    me = Candidate("a", 15)
    me.observe(THEIRS, now_s=50)
    me.observe(THEIRS, now_s=60)
    assert me.wanted(65, 0) is not None


def test_a_lease_that_could_not_be_read_is_left_alone_for_its_duration_once_it_can():
    me = Candidate("a", 15)
    me.observe(THEIRS, now_s=50)
    me.lost_sight()
    me.observe(THEIRS, now_s=80)
    assert me.wanted(94.9, 0) is None
    assert me.wanted(95, 7) == LeaseRecord("a", 15, 7, 7, 4)


def test_a_lease_whose_holder_is_known_to_have_ended_need_not_run_out():
    me = Candidate("a", 15)
    me.observe(THEIRS, now_s=50)
    assert me.wanted(51, 7, is_over=True) == LeaseRecord("a", 15, 7, 7, 4)


def test_the_duration_is_the_holders_own():
    me = Candidate("a", 60)
    me.observe(LeaseRecord("b", 5, 0, 0, 0), now_s=50)
    assert me.wanted(55, 7) == LeaseRecord("a", 60, 7, 7, 1)


def test_a_lease_without_a_holder_can_be_taken_at_once():
    me = Candidate("a", 15)
    me.observe(LeaseRecord("", 1, 0, 0, 3), now_s=50)
    assert me.wanted(50, 7) == LeaseRecord("a", 15, 7, 7, 4)


def test_a_renewal_keeps_when_it_was_acquired_and_the_transitions():
    me = Candidate("a", 15)
    me.observe(LeaseRecord("a", 15, 1, 2, 3), now_s=50)
    assert me.wanted(50, 9) == LeaseRecord("a", 15, 1, 9, 3)


def test_a_release_leaves_no_holder_for_a_second():
    me = Candidate("a", 15)
    me.observe(LeaseRecord("a", 15, 1, 2, 3), now_s=50)
    assert me.released(9) == LeaseRecord("", 1, 9, 9, 3)


@pytest.mark.parametrize(
    ("holder", "now_s", "expected"), [("a", 64, True), ("a", 65, False), ("b", 50, False)]
)
def test_a_renewal_needs_no_read_while_nobody_else_can_have_taken_it(
    holder: str, now_s: float, expected: bool
):
    me = Candidate("a", 15)
    me.observe(LeaseRecord(holder, 15, 1, 2, 3), now_s=50)
    assert me.may_renew_unseen(now_s) is expected


def test_a_new_holder_is_noticed_once():
    me = Candidate("a", 15)
    assert me.observe(THEIRS, 1)
    assert not me.observe(THEIRS, 2)
    assert me.observe(LeaseRecord("c", 15, 1, 1, 4), 3)


def test_fractions_of_a_second_are_rounded_up_since_a_lease_counts_seconds():
    assert Candidate("a", 1.2).first(0).lease_duration_s == 2


def test_a_record_survives_being_written_and_read():
    record = LeaseRecord("a", 15, 1_700_000_000.25, 1_700_000_001.5, 2)
    assert to_spec(record)["renewTime"] == "2023-11-14T22:13:21.500000Z"
    assert from_spec(to_spec(record)) == record
    assert from_spec(to_spec(LeaseRecord())) == LeaseRecord()


@pytest.mark.parametrize("value", [None, "soon", 7, True])
def test_what_cannot_be_read_in_a_lease_counts_as_not_said(value: object):
    found = from_spec({"renewTime": value, "leaseDurationSeconds": "x", "leaseTransitions": True})
    assert found == LeaseRecord()
