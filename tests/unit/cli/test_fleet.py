"""In which order replicas come and leave: the new one first, and the old ones stay where it fails."""

from deltawire.cli.supervisor.fleet import Fleet, Grow, Kept, Shrink, Step


def fleet(**replicas: int) -> Fleet:
    made = Fleet(replicas)
    assert made.turn() == []
    for group, count in replicas.items():
        for i in range(count):
            made.on_ready(f"{group}-{i}")
    return made


def names(steps: list[Step]) -> list[str]:
    return [f"{'+' if isinstance(s, Grow) else '-'}{s.name}" for s in steps if not isinstance(s, Kept)]


def test_a_restart_brings_the_new_replica_before_the_old_one_leaves() -> None:
    made = fleet(printer=1)
    made.renew("printer")
    assert made.turn() == [Grow("printer", "printer-1", 1)]
    assert made.turn() == [], "the new one is not ready"
    made.on_ready("printer-1")
    assert made.turn() == [Shrink("printer", "printer-0")]
    assert made.on_exit("printer-0") is None
    made.renew("printer")
    assert names(made.turn()) == ["+printer-0"], "the lowest number that is free"


def test_several_replicas_are_replaced_one_after_another() -> None:
    made = fleet(printer=2)
    made.renew("printer")
    seen: list[str] = []
    for _ in range(10):
        steps = made.turn()
        seen += names(steps)
        for step in steps:
            if isinstance(step, Grow):
                made.on_ready(step.name)
            elif isinstance(step, Shrink):
                made.on_exit(step.name)
    assert seen == ["+printer-2", "-printer-1", "+printer-3", "-printer-0"], "never fewer than two"


def test_a_new_version_that_ends_before_it_is_ready_leaves_the_one_before_alone() -> None:
    made = fleet(printer=2)
    made.renew("printer")
    assert names(made.turn()) == ["+printer-2"]
    assert made.on_exit("printer-2") == Kept("printer")
    assert names(made.turn()) == ["-printer-2"]
    made.on_exit("printer-2")
    assert made.turn() == []
    made.renew("printer")
    assert names(made.turn()) == ["+printer-2"], "the next attempt is made"


def test_a_replica_that_crashes_later_is_no_failed_replacement() -> None:
    made = fleet(printer=1)
    made.renew("printer")
    made.turn()
    made.on_ready("printer-1")
    assert made.on_exit("printer-1") is None
    assert made.turn() == [], "the old one stays until the new one is back"
    made.on_ready("printer-1")
    assert names(made.turn()) == ["-printer-0"]


def test_where_no_old_replica_is_well_the_new_version_is_tried_on() -> None:
    made = fleet(printer=1)
    made.on_exit("printer-0")
    made.renew("printer")
    made.turn()
    assert made.on_exit("printer-1") is None


def test_scaling_starts_all_that_are_missing_and_ends_the_highest_numbers() -> None:
    made = fleet(printer=1)
    made.want("printer", 3)
    assert names(made.turn()) == ["+printer-1", "+printer-2"]
    made.on_ready("printer-1")
    made.on_ready("printer-2")
    made.want("printer", 1)
    assert names(made.turn()) == ["-printer-1", "-printer-2"]
    made.want("printer", 0)
    assert names(made.turn()) == ["-printer-0"]
    made.want("printer", 1)
    assert names(made.turn()) == ["+printer-3"], "the others are still leaving"


def test_a_removed_group_is_forgotten_when_its_replicas_have_left() -> None:
    made = fleet(printer=1)
    made.remove("printer")
    assert names(made.turn()) == ["-printer-0"]
    assert made.is_known("printer-0")
    made.on_exit("printer-0")
    assert made.turn() == []
    assert not made.is_known("printer-0")
    made.want("printer", 1)
    assert names(made.turn()) == ["+printer-0"]
