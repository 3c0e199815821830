"""A group with a filter: what it gets, what it is told when an object leaves, and what outlives a kill."""

from pathlib import Path

import msgspec
import pytest

from deltawire.common.meta.clauses import Clause
from deltawire.informer.groups.scope import LOOKED_AT_MAX
from tests.support.messages import work
from tests.support.shard_rig import Handler, ShardRig, brief

RED = Clause(labels="color=red")
BLUE = Clause(labels="color=blue")
SPEC = Clause(changed=["{.spec}"])


@pytest.fixture
def rig(tmp_path: Path) -> ShardRig:
    return ShardRig(tmp_path / "shard")


def put(
    rig: ShardRig, key: str, version: str, color: str = "", *, uid: str = "u", kind: str = "U", **more
) -> None:
    """One change of the watch, of an object with a label."""
    namespace, _, name = key.partition("/")
    metadata = {
        "namespace": namespace,
        "name": name,
        "uid": uid,
        "resourceVersion": version,
        **more.pop("meta", {}),
    }
    if color:
        metadata["labels"] = {"color": color}
    rig.number += 1
    body = msgspec.json.encode({"metadata": metadata, **more})
    rows = [[namespace, name, [[rig.number, kind, "*", uid, version, 1, body]]]]
    rig.shard.apply([work("pop", [rig.boot, rig.number, rig.number, rows, []])])


def letters(events) -> list[tuple[str, str, str]]:
    """(kind, version, letters) of each."""
    return [(event[2], event[4], event[11]) for event in events]


def restart(rig: ShardRig, handler: Handler | None = None) -> None:
    if handler is not None:
        rig.dead.add(handler.nonce)
    rig.reopen()


def test_only_what_a_clause_wants_is_sent_and_the_position_moves_on(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    for n in range(20):
        put(rig, f"a/k{n}", str(10 + n), "red" if n == 7 else "blue", uid=f"u{n}", kind="A")
    assert brief(handler.work()) == [("A", "a/k7", "17")]
    group = rig.shard.groups["g"]
    assert group.track.position == rig.shard.seq
    assert group.counters.filtered == 19
    assert len(rig.shard.indexer.rows(b"matched")) == 1


def test_a_group_without_a_filter_has_no_rows_and_decodes_nothing(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join()
    put(rig, "a/k", "2", "red", kind="A")
    assert letters(handler.work()) == [("A", "2", "")]
    assert rig.shard.groups["g"].scope is None
    assert rig.shard.indexer.rows(b"matched") == []


def test_an_object_that_enters_is_added_one_that_leaves_is_told_once_and_one_that_comes_back_is_added(
    rig: ShardRig,
) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    seen = []
    for version, color in enumerate(["blue", "red", "red", "blue", "blue", "red"], 2):
        put(rig, "a/k", str(version), color, kind="A" if version == 2 else "U")
        seen += handler.work()
    assert letters(seen) == [("A", "3", "A"), ("U", "4", "U"), ("D", "5", "L"), ("A", "7", "A")]
    assert [bool(event[8] & 16) for event in seen] == [False, False, True, False], "out of scope"


@pytest.mark.parametrize("delivery", ["latest", "every"])
def test_leaving_and_deletion_while_the_group_was_away_are_told(rig: ShardRig, delivery: str) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,), delivery=delivery)
    for version, key in enumerate(["a/left", "a/gone", "a/both", "a/never"], 2):
        put(rig, key, str(version), "blue" if key == "a/never" else "red", uid=key, kind="A")
    handler.work()
    restart(rig, handler)
    put(rig, "a/left", "13", "blue", uid="a/left")
    put(rig, "a/gone", "14", "red", uid="a/gone", kind="D")
    put(rig, "a/both", "15", "blue", uid="a/both")
    put(rig, "a/both", "16", "blue", uid="a/both", kind="D")
    put(rig, "a/never", "17", "blue", uid="a/never", kind="D")
    restart(rig)
    told = rig.join(name="r1", clauses=(RED,), delivery=delivery).work()
    last = {event[1]: event[11] for event in told}
    assert {"a/left": "L", "a/gone": "D"}.items() <= last.items()
    assert "a/never" not in last
    # With every version its leaving comes first; then it is no news that it is gone.
    assert last["a/both"] == ("L" if delivery == "every" else "D")
    assert all(event[2] == "D" for event in told)
    assert rig.shard.indexer.rows(b"matched") == []


def test_what_matched_between_two_acknowledgements_is_told_though_it_was_never_sent(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    put(rig, "a/k", "2", "red", kind="A")
    handler.die()
    put(rig, "a/k", "3", "blue")
    assert letters(rig.join(name="r1", clauses=(RED,)).work()) == [("D", "3", "L")]


def test_the_row_is_on_the_disk_before_the_event_is_sent(rig: ShardRig) -> None:
    rig.list("1", *((f"a/k{n}", f"u{n}", "1") for n in range(200)))
    handler = rig.join(clauses=(Clause(names=["k1*"]),), window=5)
    sent = handler.take()
    assert len(sent) == 5
    born = {event[0] for event in sent}
    restart(rig, handler)
    on_disk = {int.from_bytes(raw[-8:], "big") for raw, _ in rig.shard.indexer.rows(b"matched")}
    assert born <= on_disk


def test_the_filter_is_on_the_disk_before_the_first_event(rig: ShardRig) -> None:
    rig.list("1", ("a/k", "u", "1"))
    handler = rig.join(clauses=(Clause(namespaces=["a"]),))
    handler.take()
    restart(rig, handler)
    assert rig.shard.groups["g"].scope is not None
    assert rig.shard.groups["g"].scope.clauses.bits


def test_a_changed_filter_is_a_look_again_that_tells_leavers_and_what_is_new(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    for n, color in enumerate(["red", "red", "blue", "green"]):
        put(rig, f"a/k{n}", str(2 + n), color, uid=f"u{n}", kind="A")
    handler.work()
    handler.die()
    other = rig.join(name="r1", clauses=(BLUE,))
    told = {event[1]: (event[2], event[11]) for event in other.work()}
    assert told == {"a/k0": ("D", "L"), "a/k1": ("D", "L"), "a/k2": ("A", "A")}
    assert other.work() == []
    assert not rig.shard.groups["g"].scope.rescan
    assert rig.shard.pending(rig.shard.groups["g"]) == 0


def test_a_look_again_that_is_cut_by_a_kill_is_made_again(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    for n in range(10):
        put(rig, f"a/k{n}", str(2 + n), "red", uid=f"u{n}", kind="A")
    handler.work()
    handler.die()
    other = rig.join(name="r1", clauses=(BLUE,), window=3)
    first = other.take()
    assert len(first) == 3
    assert other.answer(first[0])
    rig.shard.flush()
    restart(rig, other)
    told = rig.join(name="r2", clauses=(BLUE,)).work()
    assert {event[1] for event in told} == {f"a/k{n}" for n in range(10)} - {first[0][1]}
    assert {event[11] for event in told} == {"L"}


@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_group_that_gets_its_first_filter_is_told_what_leaves_of_all_that_it_may_know(
    rig: ShardRig, *, acknowledged: bool
) -> None:
    rig.list("1")
    handler = rig.join()
    put(rig, "a/red", "2", "red", uid="r", kind="A")
    put(rig, "a/blue", "3", "blue", uid="b", kind="A")
    put(rig, "a/gone", "4", "blue", uid="g", kind="A")
    handler.work() if acknowledged else handler.take()
    handler.die()
    put(rig, "a/gone", "5", "blue", uid="g", kind="D")
    rig.clock.advance(10)
    told = {event[1]: event[2] for event in rig.join(name="r1", clauses=(RED,)).work()}
    assert told["a/blue"] == "D"
    assert told["a/gone"] == "D"
    assert told["a/red"] in ("A", "U")
    put(rig, "a/blue", "6", "green", uid="b")
    restart(rig)
    assert rig.join(name="r2", clauses=(RED,)).work() == []


def test_a_filter_that_is_taken_away_brings_what_was_left_out(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    put(rig, "a/red", "2", "red", uid="r", kind="A")
    put(rig, "a/blue", "3", "blue", uid="b", kind="A")
    handler.work()
    handler.die()
    plain = rig.join(name="r1")
    events = plain.work()
    assert {event[1]: event[2] for event in events} == {"a/blue": "A", "a/red": "U"}
    assert {event[11] for event in events} == {""}, "who has no filter gets no letters"
    put(rig, "a/blue", "4", "blue", uid="b")
    assert brief(plain.work()) == [("U", "a/blue", "4")]


def test_each_function_gets_its_own_part_of_an_event(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED, Clause(namespaces=["a"]), BLUE))
    put(rig, "a/k", "2", "red", kind="A")
    put(rig, "b/k", "3", "green", uid="v", kind="A")
    seen = handler.work()
    put(rig, "a/k", "4", "blue")
    seen += handler.work()
    put(rig, "a/k", "5", "blue", kind="D")
    seen += handler.work()
    assert letters(seen) == [("A", "2", "AA-"), ("U", "4", "LUA"), ("D", "5", "-DD")]


def test_replicas_with_different_filters_get_the_union_each_what_its_functions_want(
    rig: ShardRig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.list("1")
    old = rig.join(name="r0", clauses=(RED,))
    new = rig.join(name="r1", clauses=(BLUE,))
    assert "different filters" in caplog.text
    put(rig, "a/red", "2", "red", uid="r", kind="A")
    put(rig, "a/blue", "3", "blue", uid="b", kind="A")
    rig.shard.flush()
    for_old, for_new = old.take(), new.take()
    assert (brief(for_old), brief(for_new)) == ([("A", "a/red", "2")], [("A", "a/blue", "3")])
    assert old.answer(for_old[0])
    assert new.answer(for_new[0])
    old.die()
    assert letters(new.work()) == [("D", "2", "L")], "the filter is what is left of the union"


def test_what_is_parked_and_stops_matching_is_told_as_leaving(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    put(rig, "a/k", "2", "red", kind="A")
    (event,) = handler.take()
    assert handler.answer(event, 1, after_s=5.0, error="boom")
    put(rig, "a/k", "3", "blue")
    rig.clock.advance(10)
    assert letters(handler.work()) == [("D", "3", "L")]


def test_leaving_that_fails_is_told_again_before_the_object_is_added_again(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    put(rig, "a/k", "2", "red", kind="A")
    handler.work()
    put(rig, "a/k", "3", "blue")
    (event,) = handler.take()
    assert handler.answer(event, 1, after_s=5.0, error="boom")
    put(rig, "a/k", "4", "red")
    rig.shard.flush()
    restart(rig, handler)
    rig.clock.advance(10)
    assert letters(rig.join(name="r1", clauses=(RED,)).work()) == [("D", "3", "L"), ("A", "4", "A")]


def test_a_name_that_is_deleted_and_created_again_is_both(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    put(rig, "a/k", "2", "red", kind="A")
    handler.work()
    handler.die()
    put(rig, "a/k", "3", "red", kind="D")
    put(rig, "a/k", "4", "red", uid="v", kind="A")
    assert letters(rig.join(name="r1", clauses=(RED,)).work()) == [("D", "3", "D"), ("A", "4", "A")]


def test_a_change_is_passed_over_only_if_every_one_since_the_acknowledged_was(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(SPEC,))
    put(rig, "a/k", "2", kind="A", spec=1, status=1)
    handler.work()
    put(rig, "a/k", "3", spec=1, status=2)
    assert handler.work() == []
    put(rig, "a/k", "4", spec=2, status=2)
    put(rig, "a/k", "5", spec=2, status=3)
    seen = handler.work()
    assert letters(seen) == [("U", "5", "U")], "the group was behind: the status' version brings the spec"
    assert msgspec.json.decode(seen[0][10])["status"] == 1, "old is what it acknowledged last"
    put(rig, "a/k", "6", spec=3, status=3)
    put(rig, "a/k", "7", spec=2, status=3)
    assert letters(handler.work()) == [("U", "7", "U")], "there and back is a change"


def test_a_change_whose_event_is_in_flight_is_told_after_a_kill_though_a_status_followed(
    rig: ShardRig,
) -> None:
    rig.list("1")
    handler = rig.join(clauses=(SPEC,))
    put(rig, "a/k", "2", kind="A", spec=1, status=1)
    handler.work()
    put(rig, "a/k", "3", spec=2, status=1)
    assert len(handler.take()) == 1
    put(rig, "a/k", "4", spec=2, status=2)
    rig.shard.flush()
    restart(rig, handler)
    assert letters(rig.join(name="r1", clauses=(SPEC,)).work()) == [("U", "4", "U")]


def test_what_only_followed_an_event_that_was_acknowledged_is_passed_over(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(SPEC,))
    put(rig, "a/k", "2", kind="A", spec=1, status=1)
    (event,) = handler.take()
    put(rig, "a/k", "3", spec=1, status=2)
    assert handler.answer(event)
    assert handler.work() == []


@pytest.mark.parametrize("kill", [False, True])
def test_every_brings_each_version_that_a_clause_wants(rig: ShardRig, *, kill: bool) -> None:
    rig.list("1")
    handler = rig.join(clauses=(SPEC,), delivery="every")
    put(rig, "a/k", "2", kind="A", spec=1, status=1)
    handler.work()
    for version, spec in enumerate([1, 2, 2, 3, 3, 4], 3):
        put(rig, "a/k", str(version), spec=spec, status=version)
    if kill:
        restart(rig, handler)
        handler = rig.join(name="r1", clauses=(SPEC,), delivery="every")
    assert [event[4] for event in handler.work()] == ["4", "6", "8"]


def test_versions_of_others_are_kept_in_no_history(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,), delivery="every")
    handler.die()
    for version in range(2, 12):
        put(rig, "a/k", str(version), "blue", kind="A" if version == 2 else "U")
    assert rig.shard.indexer.rows(b"history") == []
    put(rig, "a/k", "12", "blue", kind="D")
    assert rig.shard.indexer.rows(b"gone") == []


@pytest.mark.parametrize(
    ("manager", "told"), [("me", False), ("other", True)], ids=["its own write", "another's write"]
)
def test_a_write_of_its_own_is_passed_over(rig: ShardRig, manager: str, *, told: bool) -> None:
    rig.list("1")
    handler = rig.join(clauses=(Clause(not_by=["me"]),))
    entries = {"me": "2020-01-01T00:00:00Z", "other": "2020-01-01T00:00:00Z"}

    def managed() -> dict:
        return {
            "managedFields": [{"manager": m, "operation": "Update", "time": t} for m, t in entries.items()]
        }

    put(rig, "a/k", "2", kind="A", meta=managed())
    handler.work()
    entries[manager] = "2020-01-01T00:00:05Z"
    put(rig, "a/k", "3", meta=managed())
    assert bool(handler.work()) is told


def test_an_own_write_behind_another_ones_is_told(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(Clause(not_by=["me"]),))
    put(rig, "a/k", "2", kind="A")
    handler.work()
    put(rig, "a/k", "3", meta={"managedFields": [{"manager": "other", "time": "1"}]})
    put(
        rig,
        "a/k",
        "4",
        meta={"managedFields": [{"manager": "other", "time": "1"}, {"manager": "me", "time": "2"}]},
    )
    assert letters(handler.work()) == [("U", "4", "U")]


def test_without_managed_fields_nothing_is_taken_for_an_own_write(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(Clause(not_by=["me"]),))
    put(rig, "a/k", "2", kind="A")
    handler.work()
    put(rig, "a/k", "3")
    assert letters(handler.work()) == [("U", "3", "U")]


def test_a_resync_hands_out_what_matches_only(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,), resync_s=60.0)
    put(rig, "a/red", "2", "red", uid="r", kind="A")
    put(rig, "a/blue", "3", "blue", uid="b", kind="A")
    handler.work()
    rig.clock.advance(61)
    assert letters(handler.work()) == [("S", "2", "S")]


def test_an_object_that_cannot_be_read_is_sent(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    rig.pop_bytes("a/k", "u", "2", b"{")
    assert letters(handler.work()) == [("A", "2", "A")]
    assert rig.shard.groups["g"].scope.clauses.errors


def test_a_filter_looks_at_a_bounded_number_of_objects_in_one_turn(rig: ShardRig) -> None:
    count = 2 * LOOKED_AT_MAX + 100
    rig.list("1", *((f"a/k{n}", f"u{n}", "1") for n in range(count)))
    handler = rig.join(clauses=(Clause(names=["none"]),))
    turns = 0
    group = rig.shard.groups["g"]
    while group.track.cursor < rig.shard.seq:
        before = group.track.cursor
        assert handler.take() == []
        assert group.track.cursor - before <= LOOKED_AT_MAX + 64
        assert group.scope.has_more == (group.track.cursor < rig.shard.seq)
        turns += 1
    assert turns == 3


def test_a_group_that_is_removed_leaves_no_row(rig: ShardRig) -> None:
    rig.list("1")
    handler = rig.join(clauses=(RED,))
    put(rig, "a/k", "2", "red", kind="A")
    handler.work()
    handler.die()
    assert rig.shard.forget("g")
    assert rig.shard.indexer.rows(b"matched") == []
