"""Who owns a shard or a stream: computed by each part of a pipeline, so that all of them must say the same."""

import pytest

from deltawire.common.config.plan import deal


def shards(count: int) -> list[str]:
    return [f"shard-{number}" for number in range(count)]


def test_owners_are_what_they_have_always_been() -> None:
    """Parts of two versions run side by side, and a state folder outlives both."""
    assert deal(shards(4), 2) == [1, 1, 0, 0]
    assert deal(shards(12), 5) == [1, 3, 2, 0, 4, 4, 1, 3, 3, 4, 0, 1]


@pytest.mark.parametrize("owners", range(1, 9))
def test_few_items_are_spread_evenly(owners: int) -> None:
    dealt = deal(shards(8), owners)
    loads = [dealt.count(owner) for owner in range(owners)]
    assert max(loads) == -(-8 // owners)


def test_of_many_items_nearly_none_moves_but_those_whose_owner_left() -> None:
    before, after = deal(shards(2000), 40), deal(shards(2000), 39)
    left = before.count(39)
    moved = sum(a != b for a, b in zip(before, after, strict=True))
    assert left > 30
    assert moved <= 2 * left
    assert max(after.count(owner) for owner in range(39)) <= 1.1 * 2000 / 39
