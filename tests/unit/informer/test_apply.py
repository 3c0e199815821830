"""The rules by which deltas become changes of the store (docs/design.md §2, §3)."""

from pathlib import Path

import pytest

from deltawire.common.errors import ProtocolError
from deltawire.common.store.layout import FINAL_STATE_UNKNOWN, OUT_OF_SCOPE
from tests.support.shard_rig import ShardRig, body_of, brief


@pytest.fixture
def rig(tmp_path: Path) -> ShardRig:
    rig = ShardRig(tmp_path / "shard")
    yield rig
    rig.shard.close(clean=False)


def resume(rig: ShardRig, stream: str = "*") -> str:
    return rig.shard.report()[stream][0]


def test_a_redelivered_batch_is_skipped_by_its_numbers(rig: ShardRig) -> None:
    rig.list("10", ("a/k", "u1", "5"))
    rig.pop(("U", "a/k", "u1", "11"), ("D", "a/k", "u1", "12"))
    rig.number -= 2
    rig.pop(("U", "a/k", "u1", "11"), ("D", "a/k", "u1", "12"))
    assert rig.stored() == {}
    assert rig.shard.counters.repeated == 2


def test_numbers_of_another_brokers_life_mean_nothing(rig: ShardRig) -> None:
    rig.list("10")
    rig.pop(("A", "a/k", "u1", "11"))
    rig.new_broker("b2")
    rig.pop(("U", "a/k", "u1", "12"))
    assert rig.stored() == {"a/k": ("u1", "12")}


def test_a_gap_in_the_numbers_is_not_passed_over(rig: ShardRig) -> None:
    rig.list("10")
    rig.number += 1
    with pytest.raises(ProtocolError, match="never arrived"):
        rig.pop(("A", "a/k", "u1", "11"))
    assert rig.stored() == {}


def test_a_shard_that_is_ahead_drops_what_it_has_seen(rig: ShardRig) -> None:
    # Another shard was behind, so the watch begins at its version: this one gets old events again.
    rig.list("100", ("a/k", "u1", "50"))
    rig.pop(("D", "a/k", "u1", "110"), ("A", "a/k", "u2", "120"))
    rig.new_broker("b2")
    rig.pop(("U", "a/k", "u1", "105"), ("D", "a/k", "u1", "110"), ("A", "a/k", "u2", "120"))
    assert rig.stored() == {"a/k": ("u2", "120")}
    assert rig.shard.counters.replayed == 3


def test_a_lower_version_of_the_same_uid_is_stale(rig: ShardRig) -> None:
    rig.begin()
    rig.pop(("R", "a/k", "u1", "50"))
    rig.pop(("R", "a/k", "u1", "40"))
    rig.end("60")
    assert rig.stored() == {"a/k": ("u1", "50")}
    assert rig.shard.counters.stale == 1


def test_another_uid_is_a_deletion_and_an_add_also_from_a_list(rig: ShardRig) -> None:
    rig.list("10", ("a/k", "u1", "5"))
    handler = rig.join()
    handler.work()
    rig.list("30", ("a/k", "u2", "25"), generation=2)
    events = handler.work()
    assert [(e[2], e[3]) for e in events] == [("D", "u1"), ("A", "u2")]
    assert events[0][8] & FINAL_STATE_UNKNOWN


def test_a_deletion_of_what_is_not_held_is_nothing(rig: ShardRig) -> None:
    rig.list("10")
    handler = rig.join()
    rig.pop(("D", "a/k", "u1", "11"))
    assert handler.work() == []
    assert rig.shard.counters.unknown_deletions == 1
    assert resume(rig) == "11"


def test_a_list_takes_the_resume_version_away_until_it_ends(rig: ShardRig) -> None:
    rig.list("100", ("a/k", "u1", "50"))
    rig.begin(2)
    assert resume(rig) == ""
    # A streaming list may bring a deletion before its first item.
    rig.pop(("D", "a/other", "u2", "140"))
    assert resume(rig) == ""
    rig.pop(("R", "a/k", "u1", "150"))
    rig.reopen()
    assert resume(rig) == ""
    assert rig.shard.report()["*"][1:] == ("150", 2)


def test_a_list_that_was_cut_by_a_kill_is_begun_again_and_sweeps_right(rig: ShardRig) -> None:
    rig.list("100", ("a/stays", "u1", "50"), ("a/leaves", "u2", "51"), ("b/leaves", "u3", "52"))
    rig.begin(2)
    rig.pop(("R", "a/leaves", "u2", "51"))
    rig.reopen()
    rig.new_broker("b2")
    # The mark of generation 2 says nothing to generation 3.
    rig.list("300", ("a/stays", "u1", "50"), generation=3)
    assert rig.stored() == {"a/stays": ("u1", "50")}
    assert resume(rig) == "300"
    assert rig.shard.indexer.rows(b"seen") == []


def test_a_list_goes_on_in_a_new_worker(rig: ShardRig) -> None:
    rig.list("100", ("a/leaves", "u2", "51"))
    rig.begin(2)
    rig.pop(("R", "a/first", "u3", "60"))
    rig.reopen()
    rig.pop(("R", "a/second", "u4", "61"))
    rig.end("200", 2)
    assert rig.stored() == {"a/first": ("u3", "60"), "a/second": ("u4", "61")}


def test_the_end_of_an_aborted_list_is_ignored(rig: ShardRig) -> None:
    rig.list("100", ("a/k", "u1", "50"))
    rig.begin(2)
    rig.begin(3)
    rig.end("200", 2)
    assert rig.stored() == {"a/k": ("u1", "50")}
    assert resume(rig) == ""


def test_what_the_watch_brings_while_a_list_is_open_is_not_swept(rig: ShardRig) -> None:
    rig.list("100")
    rig.begin(2)
    rig.pop(("A", "a/new", "u9", "120"))
    rig.end("110", 2)
    assert rig.stored() == {"a/new": ("u9", "120")}


def test_a_410_on_one_namespace_sweeps_that_namespace_only(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "two", streams=["a", "ab"])
    rig.list("100", ("a/k", "u1", "50"), ("a/l", "u2", "51"), stream="a")
    rig.list("90", ("ab/k", "u3", "52"), stream="ab")
    rig.list("200", ("a/k", "u1", "50"), generation=2, stream="a")
    assert rig.stored() == {"a/k": ("u1", "50"), "ab/k": ("u3", "52")}
    assert resume(rig, "ab") == "90"
    assert resume(rig, "a") == "200"
    rig.shard.close(clean=False)


def test_resume_moves_with_deltas_and_marks_of_its_own_stream(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "two", streams=["a", "b"])
    rig.list("100", stream="a")
    rig.list("200", stream="b")
    rig.pop(("A", "a/k", "u1", "150"), stream="a", marks=[["b", "260"]])
    assert resume(rig, "a") == "150"
    assert resume(rig, "b") == "260"
    rig.pop(marks=[["a", "140"], ["b", "300"]])
    assert resume(rig, "a") == "150"
    assert resume(rig, "b") == "300"
    rig.shard.close(clean=False)


def test_a_mark_does_not_end_a_list(rig: ShardRig) -> None:
    rig.begin()
    rig.pop(("R", "a/k", "u1", "50"), marks=[["*", "60"]])
    assert resume(rig) == ""


def test_versions_that_are_no_numbers_are_compared_for_equality_only(rig: ShardRig) -> None:
    rig.list("x1", ("a/k", "u1", "v-b"))
    rig.pop(("U", "a/k", "u1", "v-a"))
    rig.pop(("U", "a/k", "u1", "v-a"))
    assert rig.stored() == {"a/k": ("u1", "v-a")}
    assert resume(rig) == "v-a"


def test_a_changed_scope_lists_again_and_says_why_objects_left(rig: ShardRig) -> None:
    rig.list("100", ("a/in", "u1", "50"), ("a/out", "u2", "51"))
    rig.join().work()
    rig.dead.add("r0")
    rig.reopen(scope="s2")
    assert resume(rig) == ""
    assert rig.shard.report()["*"][1] == "100"
    handler = rig.join()
    rig.list("150", ("a/in", "u1", "50"), generation=2)
    (event,) = handler.work()
    assert event[:4] == (event[0], "a/out", "D", "u2")
    assert event[8] & OUT_OF_SCOPE


def test_an_item_with_the_same_version_but_other_content_is_stored(rig: ShardRig) -> None:
    # The transform changed: the version is the API server's, the bytes are ours.
    rig.begin()
    rig.pop(("R", "a/k", "u1", "50"))
    rig.pop(("R", "a/k", "u1", "50"), spec={"more": 1})
    rig.end("60")
    row = rig.row("a/k")
    assert row is not None
    assert row.object == body_of("a/k", "u1", "50", spec={"more": 1})


def test_a_stream_that_is_not_configured_any_more_leaves_at_once(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "two", streams=["a", "b"])
    rig.list("100", ("a/k", "u1", "50"), stream="a")
    rig.list("100", ("b/k", "u2", "51"), stream="b")
    rig.join().work()
    rig.dead.add("r0")
    rig.reopen(streams=["a"])
    assert rig.stored() == {"a/k": ("u1", "50")}
    (event,) = rig.join().work()
    assert (event[1], event[2]) == ("b/k", "D")
    assert event[8] & OUT_OF_SCOPE
    assert set(rig.shard.report()) == {"a"}
    rig.shard.close(clean=False)


def test_all_namespaces_take_over_what_one_had(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "two", streams=["a"])
    rig.list("100", ("a/k", "u1", "50"), stream="a")
    rig.join().work()
    rig.dead.add("r0")
    rig.reopen(streams=["*"])
    assert rig.shard.report() == {"*": ("", "100", 0)}
    rig.list("120", ("a/k", "u1", "50"), ("b/k", "u2", "60"))
    assert brief(rig.join().work()) == [("A", "b/k", "60")]
    rig.shard.close(clean=False)


def test_one_namespace_keeps_its_objects_of_all(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "two")
    rig.list("100", ("a/k", "u1", "50"), ("b/k", "u2", "51"))
    rig.reopen(streams=["b"])
    assert rig.stored() == {"b/k": ("u2", "51")}
    assert rig.shard.report() == {"b": ("", "100", 0)}
    rig.shard.close(clean=False)


def test_a_cluster_that_was_set_back_begins_a_new_lineage(rig: ShardRig) -> None:
    rig.list("1000", ("a/changed", "u1", "990"), ("a/same", "u2", "10"), ("a/gone", "u3", "950"))
    handler = rig.join()
    handler.work()
    rig.list("900", ("a/changed", "u1", "800"), ("a/same", "u2", "10"), generation=2)
    assert rig.stored() == {"a/changed": ("u1", "800"), "a/same": ("u2", "10")}
    assert rig.shard.report()["*"] == ("900", "900", 2)
    assert sorted(brief(handler.work())) == [("D", "a/gone", "950"), ("U", "a/changed", "800")]


def test_a_stale_item_of_a_list_that_is_not_older_than_the_floor_stays_ignored(rig: ShardRig) -> None:
    rig.list("1000", ("a/k", "u1", "990"))
    rig.list("1000", ("a/k", "u1", "980"), generation=2)
    assert rig.stored() == {"a/k": ("u1", "990")}
    assert rig.shard.indexer.rows(b"aside") == []


def test_an_object_without_a_version_is_never_old_and_moves_no_version(rig: ShardRig) -> None:
    rig.list("10", ("a/k", "u1", "5"), ("a/n", "u2", ""))
    assert rig.stored() == {"a/k": ("u1", "5"), "a/n": ("u2", "")}
    handler = rig.join()
    handler.work()
    rig.pop(("U", "a/k", "u1", "11"), ("U", "a/n", "u2", ""), spec=2)
    assert resume(rig) == "11"
    assert [e[1] for e in handler.work()] == ["a/k", "a/n"]
    rig.pop(("U", "a/k", "u1", ""))
    assert rig.stored()["a/k"] == ("u1", "")
    rig.pop(("D", "a/n", "u2", ""))
    assert rig.stored() == {"a/k": ("u1", "")}
    assert resume(rig) == "11"


def test_a_list_without_a_version_is_complete_and_leaves_nothing_to_resume_at(rig: ShardRig) -> None:
    rig.list("", ("a/k", "u1", ""), ("a/l", "u2", ""))
    assert (rig.shard.is_listed, rig.shard.is_stored, resume(rig)) == (True, True, "")
    rig.begin(2)
    assert not rig.shard.is_stored
    rig.pop(("R", "a/k", "u1", ""))
    rig.end("", 2)
    assert rig.stored() == {"a/k": ("u1", "")}
    assert rig.shard.is_stored


def test_a_stream_that_waits_for_a_list_drops_what_the_watch_has_brought_before(rig: ShardRig) -> None:
    """The watch may go back for another shard: what was added and deleted since would be new twice."""
    rig.list("100")
    rig.pop(("R", "a/x", "u9", "60"))
    assert resume(rig) == ""
    brought = ("A", "a/k", "u1", "101"), ("D", "a/k", "u1", "102")
    rig.pop(*brought)
    before = rig.shard.indexer.state.seq
    rig.pop(*brought)
    assert rig.shard.indexer.state.seq == before
    rig.pop(("A", "a/k", "u2", "103"))
    assert rig.stored()["a/k"] == ("u2", "103")


def test_a_generation_that_is_given_again_forgets_what_the_earlier_list_named(rig: ShardRig) -> None:
    """A queue that was lost begins its generations anew."""
    rig.list("100", ("a/k", "u1", "50"), generation=7)
    rig.begin(8)
    rig.pop(("R", "a/k", "u1", "50"))
    rig.new_broker("b2")
    rig.begin(8)
    rig.end("200", 8)
    assert rig.stored() == {}
