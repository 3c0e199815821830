"""The queue of one shard, rule by rule."""

from typing import Any

import pytest

from deltawire.common.errors import ProtocolError
from deltawire.common.wire.messages.shard import ListBegin, ListEnd, Pop
from deltawire.common.wire.messages.stream import Delta
from deltawire.fifo.in_order import InOrderQueue

MANY = 1_000_000


def put(queue: InOrderQueue, *deltas: str, stream: str = "*") -> None:
    """Deltas as ``U:key@version`` or ``U:key@version/uid``; the object is as long as the version is high."""
    for delta in deltas:
        type_, _, rest = delta.partition(":")
        name, _, rest = rest.partition("@")
        version, _, uid = rest.partition("/")
        queue.add(stream, 1, Delta(type_, "ns", name, uid or name, version, b"x" * int(version)))


def short(batch: Any) -> Any:
    """A pop as {key: ["type@version", …]}; a begin or an end as its class's name."""
    if not isinstance(batch, Pop):
        return type(batch).__name__ if batch else None
    return {name: [f"{row[1]}@{row[4]}" for row in rows] for _, name, rows in batch.keys}


def begin(number: int, stream: str, generation: int) -> ListBegin:
    return ListBegin("", 0, "", number, stream, generation)


def end(number: int, stream: str, generation: int, items: int, version: str) -> ListEnd:
    return ListEnd("", 0, "", number, stream, generation, items, version)


def pop(queue: InOrderQueue, deltas: int = MANY, size: int = MANY) -> Any:
    return short(queue.pop(deltas, size))


def drained(queue: InOrderQueue, deltas: int = MANY) -> list[Any]:
    batches = []
    while (batch := queue.pop(deltas, MANY)) is not None:
        batches.append(short(batch))
    return batches


def test_a_pop_is_a_prefix_of_the_arrival_order_grouped_by_key() -> None:
    queue = InOrderQueue()
    put(queue, "A:k@1", "A:l@2", "U:k@3", "U:l@4")
    assert pop(queue, deltas=3) == {"k": ["A@1", "U@3"], "l": ["A@2"]}
    assert pop(queue) == {"l": ["U@4"]}


def test_a_later_change_of_a_key_never_overtakes_what_arrived_before_it() -> None:
    queue = InOrderQueue()
    put(queue, "A:k@10", "A:l@11", "U:k@12")
    assert pop(queue, deltas=1) == {"k": ["A@10"]}
    assert pop(queue, deltas=1) == {"l": ["A@11"]}
    assert pop(queue, deltas=1) == {"k": ["U@12"]}


def test_numbers_rise_by_one_and_name_the_ends_of_a_batch() -> None:
    queue = InOrderQueue()
    put(queue, "A:k@1", "A:l@2", "A:m@3")
    first, second = queue.pop(2, MANY), queue.pop(2, MANY)
    assert isinstance(first, Pop) and isinstance(second, Pop)
    assert (first.first, first.last, second.first, second.last) == (1, 2, 3, 3)


@pytest.mark.parametrize(
    ("deltas", "size", "expected"),
    [
        (2, MANY, {"a": ["A@10"], "b": ["A@10"]}),
        (MANY, 20, {"a": ["A@10"], "b": ["A@10"]}),
        (MANY, 29, {"a": ["A@10"], "b": ["A@10"]}),
        (MANY, 5, {"a": ["A@10"]}),  # an object above the bound travels alone
        (MANY, MANY, {"a": ["A@10"], "b": ["A@10"], "c": ["A@10"]}),
    ],
)
def test_a_batch_ends_at_its_bounds(deltas: int, size: int, expected: dict[str, list[str]]) -> None:
    queue = InOrderQueue()
    put(queue, "A:a@10", "A:b@10", "A:c@10")
    assert pop(queue, deltas, size) == expected


def test_a_begin_and_an_end_are_alone_and_close_a_batch() -> None:
    queue = InOrderQueue()
    put(queue, "D:k@15")
    queue.begin("*", 7)
    put(queue, "R:k@20")
    queue.end("*", 7, 1, "20")
    put(queue, "U:k@21")
    assert drained(queue) == [{"k": ["D@15"]}, "ListBegin", {"k": ["R@20"]}, "ListEnd", {"k": ["U@21"]}]


def test_a_begin_and_an_end_carry_what_was_said() -> None:
    queue = InOrderQueue()
    queue.begin("a", 7)
    queue.end("a", 7, 3, "20")
    assert queue.pop(MANY, MANY) == begin(1, "a", 7)
    assert queue.pop(MANY, MANY) == end(2, "a", 7, 3, "20")


# Merging.

DEDUP = [
    # deltas of one key in one batch, above the high-water mark?, what is left
    (["D:k@1", "D:k@2"], False, ["D@2"]),
    (["D:k@1/x", "D:k@2/y"], False, ["D@1", "D@2"]),
    (["D:k@1", "A:k@2/new"], True, ["D@1", "A@2"]),
    (["D:k@1/x", "A:k@2/y", "D:k@3/y"], True, ["D@1", "A@2", "D@3"]),
    (["U:k@1", "U:k@2", "U:k@3"], False, ["U@1", "U@2", "U@3"]),
    (["U:k@1", "U:k@2", "U:k@3"], True, ["U@3"]),
    (["U:k@1/x", "U:k@2/y"], True, ["U@1", "U@2"]),
    (["A:k@1", "U:k@2", "U:k@3"], True, ["A@1", "U@3"]),
    (["U:k@1", "D:k@2"], True, ["U@1", "D@2"]),
    (["R:k@1", "R:k@2"], True, ["R@1", "R@2"]),
]


@pytest.mark.parametrize(("deltas", "above", "left"), DEDUP)
def test_only_repeated_deletes_and_crowded_updates_of_one_uid_are_merged(
    deltas: list[str], above: bool, left: list[str]
) -> None:
    queue = InOrderQueue(high_water=0 if above else 100)
    put(queue, *deltas)
    batch = queue.pop(MANY, MANY)
    assert short(batch) == {"k": left}
    assert isinstance(batch, Pop)
    assert (batch.first, batch.last) == (1, len(deltas)), "the numbers cover what was merged"
    assert batch.keys[0][2][-1][0] == len(deltas), "the later row is kept, with its number and version"
    counters = queue.counters
    assert counters.dedup_deletes + counters.dedup_updates == len(deltas) - len(left)


def test_updates_are_always_merged_where_all_handlers_take_the_latest_state() -> None:
    queue = InOrderQueue(latest_only=True)
    put(queue, "U:k@1", "U:k@2")
    assert pop(queue) == {"k": ["U@2"]}
    assert queue.counters.dedup_updates == 1


def test_other_keys_in_between_do_not_keep_updates_apart() -> None:
    queue = InOrderQueue(latest_only=True)
    put(queue, "U:k@1", "U:l@2", "U:k@3")
    assert pop(queue) == {"k": ["U@3"], "l": ["U@2"]}


def test_nothing_is_merged_across_batches() -> None:
    queue = InOrderQueue(latest_only=True)
    put(queue, "U:k@1", "U:k@2")
    assert pop(queue, deltas=1) == {"k": ["U@1"]}
    assert pop(queue, deltas=1) == {"k": ["U@2"]}


def test_what_was_merged_returns_its_credit() -> None:
    queue = InOrderQueue(latest_only=True)
    put(queue, "U:k@1", "U:k@2")
    queue.pop(MANY, MANY)
    assert queue.ack(2).credit == {"*": (2, 3)}


# Marks.


def marks_of(queue: InOrderQueue, deltas: int = MANY) -> dict[str, str]:
    batch = queue.pop(deltas, MANY)
    assert isinstance(batch, Pop)
    return dict(batch.marks)


def test_marks_at_the_tail_are_merged_per_stream() -> None:
    queue = InOrderQueue()
    for stream, version in [("a", "1"), ("b", "2"), ("a", "3")]:
        queue.mark(stream, version)
    batch = queue.pop_marks()
    assert batch == Pop("", 0, "", 0, 0, [], [("a", "3"), ("b", "2")])
    assert queue.pop_marks() is None


def test_a_mark_travels_with_the_last_delta_in_front_of_it_and_never_before() -> None:
    queue = InOrderQueue()
    put(queue, "A:k@1", "A:l@2")
    queue.mark("*", "2")
    put(queue, "A:m@3")
    queue.mark("*", "5")
    assert queue.pop_marks() is None
    assert marks_of(queue, deltas=1) == {}
    assert marks_of(queue, deltas=1) == {"*": "2"}
    assert marks_of(queue, deltas=1) == {"*": "5"}


def test_a_begin_takes_its_streams_mark_away_and_leaves_the_others() -> None:
    queue = InOrderQueue()
    queue.mark("a", "1")
    queue.mark("b", "2")
    queue.begin("a", 1)
    assert pop(queue) == "ListBegin"
    batch = queue.pop_marks()
    assert batch is not None
    assert batch.marks == [("b", "2")]


def test_released_deltas_take_their_marks_back() -> None:
    queue = InOrderQueue()
    put(queue, "A:k@1")
    queue.mark("*", "1")
    assert marks_of(queue) == {"*": "1"}
    put(queue, "A:l@2")
    queue.mark("*", "9")
    queue.release()
    assert marks_of(queue, deltas=1) == {"*": "1"}
    assert marks_of(queue, deltas=1) == {"*": "9"}


# Leases.


def test_released_leases_return_to_the_head_in_order() -> None:
    queue = InOrderQueue()
    put(queue, "A:a@1", "A:b@2", "A:c@3")
    queue.begin("*", 1)
    put(queue, "A:d@4")
    queue.pop(2, MANY)
    queue.pop(2, MANY)
    queue.pop(2, MANY)
    assert (queue.leased, queue.leased_bytes, queue.depth) == (4, 6, 1)
    assert queue.release() == 4
    assert (queue.leased, queue.leased_bytes, queue.depth, queue.waiting_bytes) == (0, 0, 5, 10)
    assert drained(queue, 2) == [{"a": ["A@1"], "b": ["A@2"]}, {"c": ["A@3"]}, "ListBegin", {"d": ["A@4"]}]
    assert queue.counters.redelivered == 3


def test_an_ack_frees_the_batches_up_to_its_number() -> None:
    queue = InOrderQueue()
    put(queue, "A:a@1", "A:b@2", "A:c@3")
    queue.pop(1, MANY)
    queue.pop(1, MANY)
    assert queue.ack(1).credit == {"*": (1, 1)}
    assert (queue.leased, queue.leased_bytes, queue.acked) == (1, 2, 1)
    queue.release()
    assert drained(queue) == [{"b": ["A@2"], "c": ["A@3"]}]


def test_an_ack_in_the_middle_of_a_batch_frees_its_first_part() -> None:
    queue = InOrderQueue()
    put(queue, "A:a@1", "A:b@2", "A:c@3")
    queue.pop(MANY, MANY)
    assert queue.ack(2).credit == {"*": (2, 3)}
    queue.release()
    assert drained(queue) == [{"c": ["A@3"]}]


def test_an_old_ack_changes_nothing() -> None:
    queue = InOrderQueue()
    put(queue, "A:a@1", "A:b@2")
    queue.pop(1, MANY)
    queue.ack(1)
    assert queue.ack(1).credit == {}
    assert queue.acked == 1


def test_an_ack_of_what_was_never_sent_is_refused_and_frees_nothing() -> None:
    queue = InOrderQueue()
    put(queue, "A:a@1", "A:b@2")
    queue.pop(1, MANY)
    with pytest.raises(ProtocolError):
        queue.ack(2)
    assert queue.leased == 1


def test_what_a_dead_worker_had_committed_is_not_sent_again() -> None:
    queue = InOrderQueue()
    put(queue, "A:a@1", "A:b@2", "A:c@3")
    queue.pop(2, MANY)
    queue.release()
    freed = queue.ack(2)
    assert freed.credit == {"*": (2, 3)}
    assert queue.waiting_bytes == 3
    assert drained(queue) == [{"c": ["A@3"]}]


def test_an_ack_names_the_begins_and_ends_that_it_covers() -> None:
    queue = InOrderQueue()
    queue.begin("*", 1)
    put(queue, "R:a@1")
    queue.end("*", 1, 1, "1")
    assert queue.barriers == 2
    drained(queue)
    assert queue.ack(2).barriers == [begin(1, "*", 1)]
    assert queue.ack(3).barriers == [end(3, "*", 1, 1, "1")]
    assert queue.barriers == 0


# Bounds.


def test_a_list_that_is_begun_again_before_its_first_item_costs_one_place() -> None:
    queue = InOrderQueue()
    for generation in range(1, 6):
        queue.begin("*", generation)
    assert (queue.depth, queue.barriers) == (1, 1)
    assert queue.pop(MANY, MANY) == begin(1, "*", 5)


def test_a_begin_that_somebody_has_seen_is_not_replaced() -> None:
    queue = InOrderQueue()
    queue.begin("*", 1)
    queue.pop(MANY, MANY)
    queue.release()
    queue.begin("*", 2)
    assert queue.pop(MANY, MANY) == begin(1, "*", 1)
    assert queue.pop(MANY, MANY) == begin(2, "*", 2)


def test_the_oldest_delta_counts_also_when_it_is_leased() -> None:
    queue = InOrderQueue()
    assert queue.oldest_at() is None
    queue.begin("*", 1)
    queue.add("*", 111, Delta("A", "ns", "k", "u", "1", b""))
    queue.add("*", 222, Delta("A", "ns", "l", "u", "2", b""))
    assert queue.oldest_at() == 111
    queue.pop(MANY, MANY)
    queue.pop(1, MANY)
    assert queue.oldest_at() == 111
    queue.ack(2)
    assert queue.oldest_at() == 222


def test_objects_are_not_copied_on_their_way_through() -> None:
    queue = InOrderQueue()
    object_ = b"{}" * 1000
    queue.add("*", 1, Delta("A", "ns", "k", "u", "1", object_))
    batch = queue.pop(MANY, MANY)
    assert isinstance(batch, Pop)
    assert batch.keys[0][2][0][6] is object_
