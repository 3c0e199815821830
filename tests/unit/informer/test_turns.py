"""P7: no shard is served first for ever."""

from collections import Counter

from deltawire.informer.turns import rotated


def test_each_is_first_equally_often() -> None:
    first = Counter(rotated("abcd", turn)[0] for turn in range(40))
    assert first == {"a": 10, "b": 10, "c": 10, "d": 10}


def test_all_are_served_each_turn_in_the_same_circle() -> None:
    assert [rotated("abc", turn) for turn in (0, 1, 2, 3)] == [
        list("abc"),
        list("bca"),
        list("cab"),
        list("abc"),
    ]


def test_nothing_is_nobodys_turn() -> None:
    assert rotated([], 7) == []
