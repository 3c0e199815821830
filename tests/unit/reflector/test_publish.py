"""The outbox: order, credit and the size of messages (docs/wire.md §5)."""

import random

import pytest

from deltawire.common.limits import BATCH_BYTES_MAX, BATCH_DELTAS_MAX
from deltawire.common.wire.messages.stream import Delta
from deltawire.reflector.action import Begin, Deltas, End, Mark
from deltawire.reflector.publish import Outbox
from tests.support.messages import fields_of, kind_of

INFORMER, STREAM = "dev/pods", "*"


@pytest.fixture
def outbox():
    made = Outbox(INFORMER, STREAM)
    made.open(1000, 10_000_000)
    return made


def rows(*versions, kind="A", size=10):
    return [Delta(kind, "default", f"p{version}", "u", str(version), b"x" * size) for version in versions]


def sent(outbox):
    """What may be sent now, without the address."""
    found = list(outbox.messages())
    assert all(fields_of(message)[:2] == (INFORMER, STREAM) for message in found)
    return [(kind_of(message), *fields_of(message)[2:]) for message in found]


def test_publications_become_messages_in_their_order(outbox):
    outbox.put(Begin(3), 0)
    outbox.put(Deltas(rows(5, kind="R"), ""), 1_000)
    outbox.put(End(3, 1, "20"), 0)
    outbox.put(Mark("21"), 0)
    assert sent(outbox) == [
        ("begin", 3),
        ("deltas", "", 1_000, rows(5, kind="R")),
        ("end", 3, 1, "20"),
        ("mark", "21"),
    ]
    assert sent(outbox) == []


def test_what_is_ready_travels_in_one_message_with_the_oldest_reading(outbox):
    outbox.put(Deltas(rows(5), "5"), 1_000)
    outbox.put(Deltas(rows(6, 7), "7"), 2_000)
    assert sent(outbox) == [("deltas", "7", 1_000, rows(5, 6, 7))]


def test_a_message_holds_a_bounded_number_of_deltas_each_complete_up_to_its_last(outbox):
    outbox.put(Deltas(rows(*range(1, 2 * BATCH_DELTAS_MAX + 2)), str(2 * BATCH_DELTAS_MAX + 1)), 0)
    messages = sent(outbox)
    assert [len(m[3]) for m in messages] == [BATCH_DELTAS_MAX, BATCH_DELTAS_MAX, 1]
    assert [m[1] for m in messages] == ["64", "128", "129"]


def test_parts_of_a_list_carry_no_version(outbox):
    outbox.put(Deltas(rows(*range(BATCH_DELTAS_MAX + 1), kind="R"), ""), 0)
    assert [m[1] for m in sent(outbox)] == ["", ""]


def test_a_message_holds_a_bounded_number_of_bytes(outbox):
    third = BATCH_BYTES_MAX // 3 + 1
    outbox.put(Deltas(rows(1, 2, 3, 4, size=third), "4"), 0)
    assert [len(m[3]) for m in sent(outbox)] == [2, 2]


def test_an_object_larger_than_a_message_should_be_travels_alone(outbox):
    outbox.put(Deltas([*rows(1), *rows(2, size=BATCH_BYTES_MAX + 1), *rows(3)], "3"), 0)
    assert [len(m[3]) for m in sent(outbox)] == [1, 1, 1]


def test_without_credit_nothing_but_what_is_free_is_sent(outbox):
    outbox.open(0, 0)
    outbox.put(Begin(1), 0)
    outbox.put(Deltas(rows(1, kind="R"), ""), 0)
    outbox.put(End(1, 1, "5"), 0)
    assert sent(outbox) == [("begin", 1)]
    outbox.grant(1, 1)
    assert [m[0] for m in sent(outbox)] == ["deltas", "end"]


def test_credit_in_deltas_is_never_overdrawn(outbox):
    outbox.open(3, 10_000)
    outbox.put(Deltas(rows(1, 2, 3, 4, 5), "5"), 0)
    assert sent(outbox) == [("deltas", "3", 0, rows(1, 2, 3))]
    outbox.grant(1, 0)
    assert sent(outbox) == [("deltas", "4", 0, rows(4))]


def test_credit_in_bytes_is_overdrawn_by_one_object_at_most(outbox):
    outbox.open(100, 25)
    outbox.put(Deltas(rows(1, 2, 3, 4), "4"), 0)
    assert [len(m[3]) for m in sent(outbox)] == [2, 1]
    assert outbox.credit_bytes == -5
    outbox.grant(0, 5)
    assert sent(outbox) == []
    outbox.grant(0, 1)
    assert len(sent(outbox)) == 1


def test_marks_are_joined_and_follow_the_deltas_before_them(outbox):
    outbox.put(Mark("4"), 0)
    outbox.put(Mark("5"), 0)
    outbox.put(Deltas(rows(6), "6"), 0)
    outbox.put(Mark("9"), 0)
    assert sent(outbox) == [("mark", "5"), ("deltas", "9", 0, rows(6))]


def test_the_version_of_a_mark_is_not_said_before_all_deltas_are_out(outbox):
    outbox.open(1, 1000)
    outbox.put(Deltas(rows(6, 7), "7"), 0)
    outbox.put(Mark("9"), 0)
    assert sent(outbox) == [("deltas", "6", 0, rows(6))]
    outbox.grant(1, 0)
    assert sent(outbox) == [("deltas", "9", 0, rows(7))]


def test_versions_that_do_not_rise_are_not_taken_from_the_deltas(outbox):
    outbox.open(1, 1000)
    outbox.put(Deltas(rows(12, 11), "0"), 0)
    outbox.put(Mark("14"), 0)
    assert [m[1] for m in sent(outbox)] == [""]
    outbox.grant(1, 0)
    assert [m[1] for m in sent(outbox)] == ["14"]


def test_a_bookmarks_version_is_not_said_before_all_deltas_in_front_of_it_are_out(outbox):
    outbox.open(2, 1000)
    outbox.put(Deltas(rows(6, 7, 8), "20"), 0)
    assert sent(outbox) == [("deltas", "7", 0, rows(6, 7))]
    outbox.grant(1, 0)
    assert sent(outbox) == [("deltas", "20", 0, rows(8))]


def test_an_object_without_a_version_does_not_say_how_far_the_stream_is(outbox):
    outbox.open(2, 1000)
    bare = [Delta("A", "default", "norv", "u", "", b"x" * 10)]
    outbox.put(Deltas([*rows(6), *bare, *bare, *rows(9)], "9"), 0)
    outbox.put(Deltas(bare, "9"), 0)
    assert sent(outbox) == [("deltas", "6", 0, [*rows(6), *bare])]
    outbox.grant(1, 0)
    assert sent(outbox) == [("deltas", "", 0, bare)]
    outbox.grant(2, 0)
    assert sent(outbox) == [("deltas", "9", 0, [*rows(9), *bare])]


def test_there_is_room_until_one_messages_worth_waits(outbox):
    outbox.open(0, 0)
    outbox.put(Deltas(rows(*range(BATCH_DELTAS_MAX - 1)), "9"), 0)
    assert outbox.has_room
    outbox.put(Deltas(rows(99), "99"), 0)
    assert not outbox.has_room


def test_a_new_start_drops_what_waited_and_the_old_credit(outbox):
    outbox.put(Deltas(rows(1), "1"), 0)
    outbox.open(5, 500)
    assert sent(outbox) == []
    assert (outbox.credit_deltas, outbox.credit_bytes) == (5, 500)
    assert (outbox.waiting_deltas, outbox.waiting_bytes) == (0, 0)


def test_on_random_credit_everything_arrives_once_in_order_and_within_the_bounds():
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(100):
        outbox = Outbox(INFORMER, STREAM)
        outbox.open(rng.randrange(5), rng.randrange(200))
        version, messages = 0, []
        for _ in range(100):
            if rng.random() < 0.5:
                count = rng.randrange(1, 9)
                outbox.put(
                    Deltas(rows(*range(version + 1, version + count + 1), size=20), str(version + count)), 0
                )
                version += count
            else:
                outbox.grant(rng.randrange(9), rng.randrange(300))
            assert outbox.credit_deltas >= 0
            messages += sent(outbox)
            assert outbox.credit_deltas >= 0
            assert outbox.credit_bytes > -20
        outbox.grant(10_000, 10_000_000)
        messages += sent(outbox)
        arrived = [int(row[4]) for message in messages for row in message[3]]
        assert arrived == list(range(1, version + 1))
        assert all(message[1] == message[3][-1][4] for message in messages)
        assert outbox.published == version
