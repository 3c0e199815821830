"""Questions of peers that cannot read a shard's files."""

from pathlib import Path

import pytest

from deltawire.common.errors import StateError
from deltawire.common.limits import BATCH_BYTES_MAX
from deltawire.common.store.pages import PAGE_OBJECTS_MAX
from deltawire.common.wire.messages.group import Changes, Query, Rows
from deltawire.informer.queries import answer
from tests.support.shard_rig import ShardRig, body_of

BIG = "x" * (BATCH_BYTES_MAX // 3)


def ask(rig: ShardRig, verb: str, *arguments: object) -> Rows | Changes:
    return answer(Query(7, "dev/pods", 0, verb, list(arguments)), rig.shard)


def rows(rig: ShardRig, verb: str, *arguments: object) -> Rows:
    found = ask(rig, verb, *arguments)
    assert isinstance(found, Rows)
    return found


def changes(rig: ShardRig, *arguments: object, verb: str = "changes") -> Changes:
    found = ask(rig, verb, *arguments)
    assert isinstance(found, Changes)
    return found


def put(rig: ShardRig, key: str, uid: str, version: str, **more: str) -> None:
    rig.pop(("U" if rig.row(key) else "A", key, uid, version), **more)


@pytest.fixture
def rig(tmp_path: Path) -> ShardRig:
    made = ShardRig(tmp_path / "shard", indexes={"by-node": ".spec.nodeName"})
    made.list("0")
    return made


def test_an_answer_is_one_message_and_says_where_to_go_on(rig: ShardRig) -> None:
    for number in range(5):
        put(rig, f"a/{number}", "u", str(number + 1), pad=BIG)
    found, after = [], ""
    while True:
        page = rows(rig, "list", "", after, 100)
        assert sum(len(row.object) for row in page.rows) <= BATCH_BYTES_MAX
        found += [row.key for row in page.rows]
        after = page.after
        if not after:
            break
    assert found == [f"a/{number}" for number in range(5)]


def test_an_object_larger_than_a_batch_travels_alone(rig: ShardRig) -> None:
    put(rig, "a/1", "u", "1", pad=BIG * 4)
    put(rig, "a/2", "u", "2")
    assert [row.key for row in rows(rig, "list", "", "", 100).rows] == ["a/1"]
    assert [row.key for row in changes(rig, 0, 100).rows] == ["a/1"]


def test_changes_are_told_from_a_number_on_and_all_of_them_in_the_end(rig: ShardRig) -> None:
    for number in range(7):
        put(rig, f"a/{number}", f"u{number}", str(number + 1), pad=BIG)
    put(rig, "a/0", "u0", "20")
    seen, seq = [], 0
    while True:
        told = changes(rig, seq, 100)
        if not told.rows:
            break
        assert told.seq == told.rows[-1].seq
        seen += [(row.key, row.uid, row.version) for row in told.rows]
        seq = told.seq
    assert seen == [*((f"a/{n}", f"u{n}", str(n + 1)) for n in range(1, 7)), ("a/0", "u0", "20")]
    assert told.objects == 7
    assert told.store == str(rig.folder)


def test_keys_come_without_their_objects(rig: ShardRig) -> None:
    put(rig, "a/1", "u", "1")
    put(rig, "b/1", "u", "2")
    assert [(row.key, row.object) for row in rows(rig, "keys", "b/", "", 10).rows] == [("b/1", b"")]


def test_a_row_has_what_a_trace_shows(rig: ShardRig) -> None:
    put(rig, "a/1", "u1", "1")
    [row] = changes(rig, "a/1", verb="row").rows
    assert (row.key, row.uid, row.version, row.object) == ("a/1", "u1", "1", body_of("a/1", "u1", "1"))
    assert row.seq > 0
    assert changes(rig, "a/2", verb="row").rows == []


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("get", ()),
        ("get", (1,)),
        ("list", ("", "")),
        ("changes", (-1, 10)),
        ("changes", (2**64, 10)),
        ("changes", ("", "", 10)),
        ("row", (None,)),
        ("delete", ("a/1",)),
        ("index", ("by-colour", "red", "", 10)),
    ],
)
def test_a_question_that_cannot_be_answered_changes_nothing_and_says_so(
    rig: ShardRig, verb: str, arguments: tuple[object, ...]
) -> None:
    put(rig, "a/1", "u", "1")
    with pytest.raises(StateError):
        ask(rig, verb, *arguments)
    assert len(rows(rig, "list", "", "", PAGE_OBJECTS_MAX).rows) == 1
