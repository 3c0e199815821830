"""The simulation behind docs/scale.md is of the pipeline's own rule, and says the same each time."""

from pathlib import Path

import pytest

from bench.placement import RULES, Ranks, place, simulate, table
from deltawire.common.config.plan import deal
from deltawire.common.meta.keys import rendezvous_rank

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"
ITEMS = [f"shard-{number}" for number in range(300)]


@pytest.mark.parametrize("workers", [1, 2, 7, 20])
def test_the_simulated_deal_is_the_pipelines(workers: int) -> None:
    rank, room = RULES["deal"]
    placed = place(Ranks(rank, workers), room, ITEMS, range(workers))
    assert list(placed.values()) == deal(ITEMS, workers)


def test_without_a_bound_only_what_must_move_moves() -> None:
    ranks, full = Ranks(rendezvous_rank, 21), list(range(20))
    before = place(ranks, None, ITEMS, full)
    less = place(ranks, None, ITEMS, [o for o in full if o != 3])
    assert {i for i in ITEMS if less[i] != before[i]} == {i for i in ITEMS if before[i] == 3}
    more = place(ranks, None, ITEMS, [*full, 20])
    assert {more[i] for i in ITEMS if more[i] != before[i]} == {20}


def test_no_worker_has_more_than_its_room() -> None:
    steps = [s for s in simulate(30, 300, seed=1, each_s=1.0) if s.rule == "deal"]
    workers = [30, 29, 28, 27, 31, 33]
    assert all(s.most <= -(-330 // n) for s, n in zip(steps, workers, strict=True))


def test_the_same_seed_gives_the_same_table() -> None:
    one, other = (table(simulate(30, 300, seed=3, each_s=1.0)) for _ in range(2))
    assert one == other


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_page_shows_what_the_program_prints() -> None:
    shown = PAGE.read_text().partition("<!-- bench/placement.py -->\n")[2].partition("\n<!-- end -->")[0]
    assert shown == table(simulate(1000, 20_000, seed=1, each_s=0.75))
