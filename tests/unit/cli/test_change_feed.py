"""What `tail` sees of a cache that is asked for: the worker's own answers, without a socket between."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from deltawire.cli.changes import Change, ChangeFeed, Patience
from deltawire.cli.stores import Cache
from deltawire.common.errors import TransportError
from deltawire.common.wire.messages.group import Changes, Query, Rows
from deltawire.handlers.following import FollowedShard
from deltawire.informer.queries import answer
from tests.support.shard_rig import ShardRig


class Asked:
    """A `Reader` that asks the shard of a rig; ``is_away``: nobody answers."""

    def __init__(self, rig: ShardRig) -> None:
        self.rig = rig
        self.is_away = False
        self.asked: list[str] = []

    def ask(self, worker: int, informer: str, shard: int, verb: str, *arguments: Any) -> Rows | Changes:
        self.asked.append(verb)
        if self.is_away:
            raise TransportError("worker 0 did not answer", reason="timeout")
        return answer(Query(1, informer, shard, verb, list(arguments)), self.rig.shard)


class Followed:
    def __init__(self, folder: Path) -> None:
        self.rig = ShardRig(folder / "one")
        self.rig.list("10", ("a/1", "u1", "1"), ("a/2", "u2", "2"), ("b/1", "u3", "3"))
        self.reader = Asked(self.rig)
        shard = FollowedShard(self.reader, 0, "dev/pods", 0)  # type: ignore[arg-type]
        self.feed = ChangeFeed(Cache({0: shard}, 1, ExitStack()))

    def told(self) -> list[str]:
        return [_words(change) for change in self.feed.poll()]


def _words(change: Change) -> str:
    row = change.new or change.old
    assert row is not None
    sign = "-" if change.new is None else "+" if change.old is None else "~"
    return f"{sign} {row.key} {row.version}"


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path)


def test_what_is_there_at_the_start_is_no_change_and_nothing_is_told_twice(followed: Followed) -> None:
    assert followed.told() == []
    followed.rig.pop(("U", "a/1", "u1", "11"), ("A", "c/1", "u4", "12"))
    assert followed.told() == ["~ a/1 11", "+ c/1 12"]
    assert followed.told() == []


def test_a_deletion_and_a_new_life_of_a_name_are_told(followed: Followed) -> None:
    followed.rig.pop(("D", "a/2", "u2", "13"))
    assert followed.told() == ["- a/2 2"]
    followed.rig.pop(("D", "a/1", "u1", "14"), ("A", "a/1", "u9", "15"))
    assert followed.told() == ["- a/1 1", "+ a/1 15"]


def test_while_nothing_is_deleted_no_keys_are_asked_for(followed: Followed) -> None:
    followed.rig.pop(("A", "c/1", "u4", "12"))
    followed.told()
    assert "keys" not in followed.reader.asked


def test_a_cache_that_is_made_anew_is_compared_and_what_is_as_before_is_no_change(
    followed: Followed, tmp_path: Path
) -> None:
    """Its changes are numbered anew: by the former numbers nothing of it would ever be seen."""
    anew = followed.reader.rig = ShardRig(tmp_path / "two")
    anew.list("20", ("a/1", "u1", "1"), ("a/2", "u2", "18"), ("d/1", "u5", "19"))
    assert followed.told() == ["~ a/2 18", "+ d/1 19", "- b/1 3"]
    anew.pop(("U", "a/1", "u1", "21"))
    assert followed.told() == ["~ a/1 21"]


def test_while_nobody_answers_it_is_said_once_and_what_was_missed_is_told_afterwards(followed: Followed) -> None:
    said: list[str] = []
    patience = Patience(said.append)
    followed.reader.is_away = True
    for _ in range(3):
        assert list(patience.poll(followed.feed)) == []
    followed.rig.pop(("U", "a/1", "u1", "11"), ("D", "a/2", "u2", "12"))
    followed.reader.is_away = False
    assert [_words(change) for change in patience.poll(followed.feed)] == ["~ a/1 11", "- a/2 2"]
    assert said == ["worker 0 did not answer: going on when it does", "the caches are read again"]
