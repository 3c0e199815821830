"""DeltaFIFO keeps client-go's contract (docs/contracts.md, queue; the comments name client-go's own tests)."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pytest

from deltawire.common.clock import FakeClock
from deltawire.fifo.delta_fifo import DeltaFIFO
from deltawire.fifo.deltas import Delta, Deltas, DeltaType, FIFOClosed, ObjectKeyError, Tombstone
from tests.support.patience import comes_true as eventually

ADDED, UPDATED, DELETED = DeltaType.ADDED, DeltaType.UPDATED, DeltaType.DELETED
REPLACED, SYNC = DeltaType.REPLACED, DeltaType.SYNC


@dataclass(frozen=True)
class Thing:
    name: str
    value: int = 0
    seen: int = 0  # how often a transform saw it


class Known:
    """What the consumer holds, by key; ``broken`` makes every lookup raise."""

    def __init__(self, *things: Thing) -> None:
        self.things = {thing.name: thing for thing in things}
        self.listed_only: list[str] = []
        self.broken = False

    def list_keys(self) -> Iterable[str]:
        return [*self.things, *self.listed_only]

    def get_by_key(self, key: str) -> Thing | None:
        if self.broken:
            raise OSError("the store cannot be read")
        return self.things.get(key)


def name_of(thing: Thing) -> str:
    return thing.name


def make(known: Known | None = None, **options: object) -> DeltaFIFO[Thing]:
    return DeltaFIFO(name_of, known_objects=known, **options)  # type: ignore[arg-type]  # each test's own options


def pop(fifo: DeltaFIFO[Thing], timeout_s: float = 5) -> Deltas[Thing]:
    return fifo.pop(lambda deltas, is_initial: None, timeout_s)


def drain(fifo: DeltaFIFO[Thing]) -> dict[str, list[tuple[DeltaType, object]]]:
    """Everything queued: key → its deltas, in the order of the keys."""
    found: dict[str, list[tuple[DeltaType, object]]] = {}
    while len(fifo):
        deltas = pop(fifo)
        found[fifo.key_of(deltas)] = [(delta.type, delta.obj) for delta in deltas]
    return found


# --- rules 1-4: what is queued, where, and what is not -------------------------------------------------


def test_all_deltas_of_the_oldest_key_come_at_once_in_their_order() -> None:  # _addUpdate
    fifo = make()
    fifo.add(Thing("foo", 10))
    fifo.update(Thing("foo", 12))
    fifo.delete(Thing("foo", 15))
    assert [(d.type, d.obj) for d in pop(fifo)] == [
        (ADDED, Thing("foo", 10)),
        (UPDATED, Thing("foo", 12)),
        (DELETED, Thing("foo", 15)),
    ]
    assert len(fifo) == 0
    assert fifo.pending == 0


def test_updates_are_never_merged() -> None:
    fifo = make()
    for value in range(5):
        fifo.update(Thing("foo", value))
    assert [d.obj for d in pop(fifo)] == [Thing("foo", value) for value in range(5)]


def test_a_later_change_does_not_move_a_key() -> None:  # _detectLineJumpers
    fifo = make()
    fifo.add(Thing("foo", 10))
    fifo.add(Thing("bar", 1))
    fifo.add(Thing("foo", 11))
    fifo.add(Thing("foo", 13))
    fifo.add(Thing("zab", 30))
    assert fifo.keys() == ["foo", "bar", "zab"]
    newest = [pop(fifo)]
    fifo.add(Thing("foo", 14))  # popped meanwhile: it goes behind the others
    newest += [pop(fifo), pop(fifo), pop(fifo)]
    assert [deltas[-1].obj for deltas in newest] == [
        Thing("foo", 13),
        Thing("bar", 1),
        Thing("zab", 30),
        Thing("foo", 14),
    ]


def test_two_deletions_in_a_row_collapse_to_the_older() -> None:
    fifo = make(Known(Thing("foo", 1)))
    fifo.delete(Thing("foo", 10))
    fifo.delete(Thing("foo", 11))
    assert [d.obj for d in pop(fifo)] == [Thing("foo", 10)]
    assert fifo.counters.deduplicated == 1
    assert fifo.pending == 0


def test_of_two_deletions_the_newer_is_kept_if_the_older_is_a_tombstone() -> None:
    fifo = make(Known(Thing("foo", 1)))
    fifo.delete(Tombstone("foo", None))
    fifo.delete(Thing("foo", 11))
    assert [d.obj for d in pop(fifo)] == [Thing("foo", 11)]


def test_deletions_that_are_not_in_a_row_are_both_kept() -> None:
    fifo = make(Known(Thing("foo", 1)))
    fifo.delete(Thing("foo", 1))
    fifo.add(Thing("foo", 2))
    fifo.delete(Thing("foo", 2))
    assert [d.type for d in pop(fifo)] == [DELETED, ADDED, DELETED]


def test_without_known_objects_a_deletion_of_what_is_not_queued_is_dropped_and_counted() -> None:
    fifo = make()  # _enqueueingNoLister
    fifo.add(Thing("foo", 10))
    fifo.update(Thing("bar", 15))
    fifo.add(Thing("qux", 17))
    fifo.delete(Thing("qux", 18))
    fifo.delete(Thing("baz", 20))
    assert drain(fifo) == {
        "foo": [(ADDED, Thing("foo", 10))],
        "bar": [(UPDATED, Thing("bar", 15))],
        "qux": [(ADDED, Thing("qux", 17)), (DELETED, Thing("qux", 18))],
    }
    assert fifo.counters.unknown_deletes == 1


def test_a_deletion_of_a_known_object_is_queued() -> None:  # _enqueueingWithLister
    fifo = make(Known(Thing("foo", 5), Thing("bar", 6), Thing("baz", 7)))
    fifo.add(Thing("foo", 10))
    fifo.update(Thing("bar", 15))
    fifo.delete(Thing("baz", 20))  # known, not queued
    fifo.delete(Thing("qux", 18))  # neither
    assert list(drain(fifo)) == ["foo", "bar", "baz"]


def test_a_deletion_that_was_consumed_is_not_queued_again() -> None:  # _DeleteExistingNonPropagated
    known = Known()
    fifo = make(known)
    fifo.add(Thing("foo", 5))
    fifo.delete(Thing("foo", 6))
    pop(fifo)
    fifo.delete(Thing("foo", 7))
    assert len(fifo) == 0


def test_a_failing_lookup_counts_as_known() -> None:
    known = Known()
    known.broken = True
    fifo = make(known)
    fifo.delete(Thing("foo", 1))
    assert [d.type for d in pop(fifo)] == [DELETED]


# --- rules 5-6: replace ---------------------------------------------------------------------------------


def test_replace_deletes_known_objects_that_it_does_not_name() -> None:  # _ReplaceMakesDeletions
    fifo = make(Known(Thing("foo", 5), Thing("bar", 6), Thing("baz", 7)))
    fifo.delete(Thing("baz", 10))
    fifo.replace([Thing("foo", 5)], "0")
    assert drain(fifo) == {
        # Nothing came of baz since: its own deletion is better than a tombstone.
        "baz": [(DELETED, Thing("baz", 10))],
        "foo": [(REPLACED, Thing("foo", 5))],
        "bar": [(DELETED, Tombstone("bar", Thing("bar", 6)))],
    }


def test_replace_deletes_with_the_newest_queued_state() -> None:  # _ReplaceMakesDeletionsReplaced
    fifo = make(Known(Thing("foo", 5), Thing("bar", 6)))
    fifo.update(Thing("bar", 9))
    fifo.replace([Thing("foo", 5)], "0")
    assert drain(fifo)["bar"] == [
        (UPDATED, Thing("bar", 9)),
        (DELETED, Tombstone("bar", Thing("bar", 9))),
    ]


@pytest.mark.parametrize("known", [None, Known()])
def test_replace_deletes_objects_that_are_only_queued(known: Known | None) -> None:
    fifo = make(known)  # W_ReplaceMakesDeletionsForObjectsOnlyInQueue
    fifo.add(Thing("foo", 1))
    fifo.replace([Thing("bar", 2)], "0")
    assert drain(fifo) == {
        "foo": [(ADDED, Thing("foo", 1)), (DELETED, Tombstone("foo", Thing("foo", 1)))],
        "bar": [(REPLACED, Thing("bar", 2))],
    }


def test_replace_names_its_items_before_it_deletes_the_rest() -> None:
    fifo = make(Known(Thing("a"), Thing("b")))
    fifo.replace([Thing("z"), Thing("y")], "0")
    assert fifo.keys() == ["z", "y", "a", "b"]


def test_a_tombstone_is_not_put_inside_a_tombstone() -> None:
    fifo = make(Known(Thing("foo", 5)))
    fifo.delete(Tombstone("foo", Thing("foo", 5)))
    fifo.replace([], "0")
    assert drain(fifo)["foo"] == [(DELETED, Tombstone("foo", Thing("foo", 5)))]


@pytest.mark.parametrize("broken", [True, False])
def test_a_known_object_that_cannot_be_looked_up_is_deleted_without_its_state(broken: bool) -> None:
    known = Known()
    known.listed_only, known.broken = ["foo"], broken
    fifo = make(known)
    fifo.replace([], "0")
    assert drain(fifo) == {"foo": [(DELETED, Tombstone("foo", None))]}


def test_a_recreation_stays_visible_when_a_list_follows_a_deletion() -> None:  # _replaceWithDeleteDeltaIn
    fifo = make(Known(Thing("foo", 1)))
    fifo.delete(Thing("foo", 1))
    fifo.replace([Thing("foo", 2)], "")
    assert [d.type for d in pop(fifo)] == [DELETED, REPLACED]


def test_replace_after_an_add_keeps_both() -> None:  # _addReplace
    fifo = make()
    fifo.add(Thing("foo", 10))
    fifo.replace([Thing("foo", 15)], "0")
    assert [d.type for d in pop(fifo)] == [ADDED, REPLACED]
    fifo.replace([Thing("foo", 15)], "1")
    assert [d.type for d in pop(fifo)] == [REPLACED]


@pytest.mark.parametrize(("emit_replaced", "expected"), [(True, REPLACED), (False, SYNC)])
def test_replace_says_sync_where_replaced_is_not_wanted(emit_replaced: bool, expected: DeltaType) -> None:
    fifo = make(emit_replaced=emit_replaced)  # _ReplaceDeltaType
    fifo.replace([Thing("foo", 5)], "0")
    assert [d.type for d in pop(fifo)] == [expected]


# --- rule 7: resync -------------------------------------------------------------------------------------


def test_resync_replays_every_known_object() -> None:  # _Resync
    fifo = make(Known(Thing("foo", 5), Thing("bar", 6)))
    fifo.resync()
    assert drain(fifo) == {"foo": [(SYNC, Thing("foo", 5))], "bar": [(SYNC, Thing("bar", 6))]}


def test_resync_never_queues_the_older_copy_behind_a_change() -> None:  # _UpdateResyncRace
    fifo = make(Known(Thing("foo", 5)))
    fifo.update(Thing("foo", 6))
    fifo.resync()
    assert drain(fifo) == {"foo": [(UPDATED, Thing("foo", 6))]}


def test_resync_does_not_bring_back_what_is_being_deleted() -> None:  # _ResyncNonExisting
    fifo = make(Known(Thing("foo", 5)))
    fifo.delete(Thing("foo", 10))
    fifo.resync()
    assert [d.type for d in pop(fifo)] == [DELETED]


def test_resync_skips_what_vanished_meanwhile_and_does_nothing_without_known_objects() -> None:
    known = Known()
    known.listed_only = ["foo"]
    for fifo in (make(known), make()):
        fifo.resync()
        assert len(fifo) == 0


# --- rule 8: transform ----------------------------------------------------------------------------------


def once_more(thing: Thing) -> Thing:
    return replace(thing, seen=thing.seen + 1)


@pytest.mark.parametrize("emit_replaced", [True, False])
def test_the_transform_sees_each_object_once_but_no_tombstone_and_no_resync(emit_replaced: bool) -> None:
    known = Known(Thing("known"), Thing("lost"))  # _transformer
    fifo = make(known, transform=once_more, emit_replaced=emit_replaced)
    fifo.add(Thing("foo", 1))
    fifo.update(Thing("foo", 2))
    fifo.delete(Thing("foo", 3))
    fifo.replace([Thing("foo", 4), Thing("known")], "0")
    found = drain(fifo)
    assert [thing.seen for _, thing in found["foo"] if isinstance(thing, Thing)] == [1, 1, 1, 1]
    assert found["lost"] == [(DELETED, Tombstone("lost", Thing("lost", seen=0)))]
    fifo.resync()
    assert drain(fifo)["known"] == [(SYNC, Thing("known", seen=0))]


def test_a_failing_transform_queues_nothing_and_its_error_reaches_the_producer() -> None:
    def refuse(thing: Thing) -> Thing:
        raise ValueError(f"no {thing.name}")

    fifo = make(Known(Thing("foo")), transform=refuse)
    for put in (fifo.add, fifo.update, fifo.delete):
        with pytest.raises(ValueError, match="no foo"):
            put(Thing("foo"))
    with pytest.raises(ValueError, match="no foo"):
        fifo.replace([Thing("foo")], "0")
    assert (len(fifo), fifo.pending) == (0, 0)


# --- rules 9-10: has_synced ------------------------------------------------------------------------------

SYNC_CASES: list[tuple[str, list[Callable[[DeltaFIFO[Thing]], object]], bool]] = [
    ("nothing happened", [], False),
    ("an add without a list", [lambda f: f.add(Thing("a"))], True),
    ("an update without a list", [lambda f: f.update(Thing("a"))], True),
    ("a deletion without a list", [lambda f: f.delete(Thing("a"))], True),
    ("an empty list", [lambda f: f.replace([], "0")], True),
    ("a list, not popped", [lambda f: f.replace([Thing("a"), Thing("b")], "0")], False),
    ("a list, half popped", [lambda f: f.replace([Thing("a"), Thing("b")], "0"), pop], False),
    ("a list, popped", [lambda f: f.replace([Thing("a"), Thing("b")], "0"), pop, pop], True),
    ("a list with a name twice", [lambda f: f.replace([Thing("a"), Thing("a")], "0"), pop], True),
    ("another list later", [lambda f: f.replace([], "0"), lambda f: f.replace([Thing("a")], "1")], True),
    ("an add before the list", [lambda f: f.add(Thing("a")), lambda f: f.replace([Thing("b")], "0")], True),
]


@pytest.mark.parametrize(
    ("steps", "expected"), [case[1:] for case in SYNC_CASES], ids=[c[0] for c in SYNC_CASES]
)
def test_synced_means_that_the_first_list_was_popped(
    steps: list[Callable[[DeltaFIFO[Thing]], object]], expected: bool
) -> None:  # _HasSynced
    fifo = make()
    for step in steps:
        step(fifo)
    assert fifo.has_synced() is expected
    assert fifo.synced.is_set() is expected


def test_the_deletions_that_the_first_list_implies_are_part_of_it() -> None:  # _HasSyncedCorrectOnDeletion
    fifo = make(Known(Thing("foo"), Thing("bar")))
    fifo.replace([Thing("foo")], "0")
    pop(fifo)
    assert not fifo.has_synced()
    assert [d.type for d in pop(fifo)] == [DELETED]
    assert fifo.has_synced()


def test_only_what_the_first_list_named_is_initial() -> None:
    fifo = make()
    fifo.replace([Thing("a"), Thing("b")], "0")
    fifo.add(Thing("c"))
    flags: list[tuple[str, bool]] = []
    while len(fifo):
        fifo.pop(lambda deltas, is_initial: flags.append((fifo.key_of(deltas), is_initial)))
    assert flags == [("a", True), ("b", True), ("c", False)]


def test_has_synced_waits_for_the_last_process_and_the_event_does_not() -> None:
    fifo = make()
    fifo.replace([Thing("a")], "0")
    inside, go_on, answers = threading.Event(), threading.Event(), []

    def process(deltas: Deltas[Thing], is_initial: bool) -> None:
        inside.set()
        go_on.wait(5)

    consumer = threading.Thread(target=lambda: fifo.pop(process), daemon=True)
    consumer.start()
    assert inside.wait(5)
    asker = threading.Thread(target=lambda: answers.append(fifo.has_synced()), daemon=True)
    asker.start()
    assert fifo.synced.is_set()
    asker.join(0.05)
    assert answers == []
    go_on.set()
    consumer.join(5)
    asker.join(5)
    assert answers == [True]


# --- rules 11-12, 14-15: pop ------------------------------------------------------------------------------


def test_a_producer_waits_while_a_consumer_processes() -> None:
    fifo = make()
    fifo.add(Thing("a"))
    inside, go_on = threading.Event(), threading.Event()

    def process(deltas: Deltas[Thing], is_initial: bool) -> None:
        inside.set()
        go_on.wait(5)

    consumer = threading.Thread(target=lambda: fifo.pop(process), daemon=True)
    consumer.start()
    assert inside.wait(5)
    producer = threading.Thread(target=lambda: fifo.add(Thing("b")), daemon=True)
    producer.start()
    producer.join(0.05)
    assert producer.is_alive()
    go_on.set()
    consumer.join(5)
    producer.join(5)
    assert fifo.keys() == ["b"]


def test_process_may_call_back_into_the_queue() -> None:
    fifo = make(deltas_max=1)
    fifo.add(Thing("a"))

    def process(deltas: Deltas[Thing], is_initial: bool) -> None:
        fifo.add(Thing("b"))
        fifo.add(Thing("c"))  # above the bound: waiting for ourselves would be for ever

    fifo.pop(process)
    assert fifo.keys() == ["b", "c"]


def test_pop_waits_for_a_change() -> None:
    fifo = make()
    found: list[Deltas[Thing]] = []
    consumer = threading.Thread(target=lambda: found.append(pop(fifo)), daemon=True)
    consumer.start()
    fifo.add(Thing("a"))
    consumer.join(5)
    assert [d.obj for d in found[0]] == [Thing("a")]


def test_pop_gives_up_when_its_time_is_over() -> None:
    clock = FakeClock()
    fifo = make(clock=clock)
    raised: list[Exception] = []

    def consume() -> None:
        try:
            pop(fifo, timeout_s=3)
        except TimeoutError as error:
            raised.append(error)

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    assert eventually(lambda: clock.waiters() == 1)
    clock.advance(2.9)
    consumer.join(0.05)
    assert consumer.is_alive()
    clock.advance(0.1)
    consumer.join(5)
    assert len(raised) == 1


def test_closing_wakes_every_waiting_pop() -> None:  # _PopShouldUnblockWhenClosed
    fifo = make()
    closed = []

    def consume() -> None:
        try:
            fifo.pop(lambda deltas, is_initial: None)
        except FIFOClosed:
            closed.append(True)

    consumers = [threading.Thread(target=consume, daemon=True) for _ in range(10)]
    for consumer in consumers:
        consumer.start()
    fifo.close()
    for consumer in consumers:
        consumer.join(5)
    assert len(closed) == 10
    assert fifo.is_closed


def test_what_is_queued_at_close_is_still_handed_out_and_adds_are_taken() -> None:
    fifo = make()
    fifo.add(Thing("a"))
    fifo.close()
    fifo.add(Thing("b"))
    assert list(drain(fifo)) == ["a", "b"]
    with pytest.raises(FIFOClosed):
        pop(fifo)


def test_what_a_process_raises_comes_out_and_the_deltas_do_not_come_back() -> None:
    fifo = make()
    fifo.add(Thing("a"))

    def process(deltas: Deltas[Thing], is_initial: bool) -> None:
        raise RuntimeError("the store is full")

    with pytest.raises(RuntimeError, match="the store is full"):
        fifo.pop(process)
    assert len(fifo) == 0
    assert fifo.counters.failed == 1


@pytest.mark.parametrize(("depth", "seconds", "lines"), [(11, 0.2, 1), (10, 0.2, 0), (11, 0.1, 0)])
def test_a_slow_process_with_many_keys_waiting_leaves_a_line(
    depth: int, seconds: float, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    fifo = make(clock=clock)
    for number in range(depth + 1):
        fifo.add(Thing(f"t{number}"))
    with caplog.at_level("INFO", "deltawire.fifo.delta_fifo"):
        fifo.pop(lambda deltas, is_initial: clock.advance(seconds))
    assert len([r for r in caplog.records if "slow handlers" in r.message]) == lines


# --- rule 13: keys ---------------------------------------------------------------------------------------


def test_a_key_is_that_of_the_object_the_tombstone_or_the_newest_delta() -> None:  # _KeyOf
    fifo = make()
    assert fifo.key_of(Thing("a")) == "a"
    assert fifo.key_of(Tombstone("b", None)) == "b"
    assert fifo.key_of(Deltas([Delta(ADDED, Thing("c")), Delta(DELETED, Tombstone("d", None))])) == "d"


def test_a_key_error_names_the_cause_and_leaves_the_queue_as_it_was() -> None:
    def no_key(thing: Thing) -> str:
        raise AttributeError("object has no meta")

    fifo: DeltaFIFO[Thing] = DeltaFIFO(no_key)
    for put in (fifo.add, fifo.update, fifo.delete, lambda thing: fifo.replace([thing], "0")):
        with pytest.raises(ObjectKeyError, match="object has no meta") as raised:
            put(Thing("a"))
        assert isinstance(raised.value.__cause__, AttributeError)
        assert raised.value.obj == Thing("a")
    assert len(fifo) == 0


def test_no_deltas_have_no_key() -> None:
    with pytest.raises(ObjectKeyError, match="no deltas"):
        make().key_of(Deltas())


# --- our bound ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["pop", "close"])
def test_at_the_bound_a_producer_waits_for_a_pop_or_the_end(end: str) -> None:
    fifo = make(deltas_max=2)
    fifo.update(Thing("a", 1))
    fifo.update(Thing("a", 2))
    producer = threading.Thread(target=lambda: fifo.update(Thing("b")), daemon=True)
    producer.start()
    assert eventually(lambda: fifo.counters.waits == 1)
    producer.join(0.05)
    assert producer.is_alive()
    if end == "pop":
        pop(fifo)
    else:
        fifo.close()
    producer.join(5)
    assert fifo.keys()[-1] == "b"


def test_a_list_is_never_cut_at_the_bound() -> None:
    fifo = make(deltas_max=2)
    fifo.replace([Thing(f"t{number}") for number in range(5)], "0")
    assert len(fifo) == 5


def test_several_consumers_share_the_keys_and_lose_none() -> None:
    fifo = make(deltas_max=50)
    seen: list[int] = []
    lock = threading.Lock()

    def consume() -> None:
        def process(deltas: Deltas[Thing], is_initial: bool) -> None:
            with lock:
                seen.extend(d.obj.value for d in deltas if isinstance(d.obj, Thing))

        try:
            while True:
                fifo.pop(process)
        except FIFOClosed:
            return

    consumers = [threading.Thread(target=consume, daemon=True) for _ in range(4)]
    for consumer in consumers:
        consumer.start()
    for value in range(2000):
        fifo.update(Thing(f"t{value % 37}", value))
    fifo.close()
    for consumer in consumers:
        consumer.join(10)
    assert sorted(seen) == list(range(2000))
    assert fifo.counters.popped == 2000
