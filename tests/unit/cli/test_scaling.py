"""How many replicas a group gets, by the figures of its load."""

from collections.abc import Iterable

import pytest

from deltawire.cli.supervisor.autoscaler import Autoscaler, Sources
from deltawire.cli.supervisor.fleet import Fleet, Grow
from deltawire.cli.supervisor.loads import CPU_SPAN_S, CpuShares
from deltawire.cli.supervisor.scaling import GROW_AFTER_S, Load, Scaler
from deltawire.common.config.schema import Scaling

COOL_DOWN_S = 60


def rule(**keys: float) -> Scaling:
    return Scaling(**{"min": 1, "max": 4, "cool_down": COOL_DOWN_S, **keys})


def after(seconds: float, scaling: Scaling, replicas: int, loads: Iterable[Load] | Load) -> int:
    """Replicas wanted after so long, one look a second, if each decision is carried out at once."""
    scaler, steady = Scaler(scaling), loads if isinstance(loads, Load) else None
    coming = iter(() if steady else loads)
    for second in range(int(seconds) + 1):
        load = steady or next(coming, None)
        if load is None:
            break
        decision = scaler.look(float(second), replicas, load)
        replicas = decision.replicas if decision else replicas
    return replicas


@pytest.mark.parametrize(
    ("scaling", "replicas", "load", "wanted"),
    [
        (rule(backlog=1000), 1, Load(backlog=1000), 1),
        (rule(backlog=1000), 1, Load(backlog=1001), 2),
        (rule(backlog=1000), 2, Load(backlog=3500), 4),
        (rule(backlog=1000), 3, Load(backlog=90_000), 4),
        (rule(backlog=1000), 1, Load(backlog=90_000), 2),
        (rule(cpu=0.7), 1, Load(cpu=0.7), 1),
        (rule(cpu=0.7), 2, Load(cpu=0.9), 3),
        (rule(cpu=0.7, backlog=1000), 2, Load(cpu=0.1, backlog=2500), 3),
        (rule(cpu=0.7, backlog=1000), 2, Load(cpu=0.9, backlog=None), 3),
        (rule(backlog=1000), 2, Load(backlog=None), 2),
        (rule(backlog=1000), 2, Load(cpu=9.0, backlog=1500), 2),
        (rule(backlog=1000), 2, Load(backlog=9000, is_settled=False), 2),
    ],
)
def test_replicas_come_by_the_figure_that_asks_for_most_at_most_twice_as_many_at_a_time(
    scaling: Scaling, replicas: int, load: Load, wanted: int
) -> None:
    assert after(GROW_AFTER_S, scaling, replicas, load) == wanted


@pytest.mark.parametrize(
    ("scaling", "replicas", "load", "wanted"),
    [
        (rule(backlog=1000), 4, Load(backlog=0), 1),
        (rule(backlog=1000, min=2), 4, Load(backlog=0), 2),
        (rule(backlog=1000), 4, Load(backlog=1001), 3),
        (rule(backlog=1000), 2, Load(backlog=501), 2),
        (rule(cpu=0.7), 2, Load(cpu=0.3), 2),
        (rule(cpu=0.7), 2, Load(cpu=0.15), 1),
        (rule(cpu=0.7, backlog=1000), 2, Load(cpu=0.0, backlog=None), 2),
        (rule(cpu=0.7, backlog=1000), 4, Load(cpu=0.0, backlog=1001), 3),
        (rule(backlog=1000), 4, Load(backlog=None), 4),
    ],
)
def test_replicas_leave_only_with_room_to_spare_and_when_all_figures_are_known(
    scaling: Scaling, replicas: int, load: Load, wanted: int
) -> None:
    assert after(COOL_DOWN_S - 1, scaling, replicas, load) == replicas
    assert after(COOL_DOWN_S, scaling, replicas, load) == wanted


def test_a_peak_that_does_not_last_brings_no_replica() -> None:
    peak, calm = [Load(backlog=5000)] * int(GROW_AFTER_S), [Load(backlog=900)]
    assert after(60, rule(backlog=1000), 1, (peak + calm) * 9) == 1


def test_a_load_that_comes_back_within_the_cool_down_keeps_the_replicas() -> None:
    calm, busy = [Load(backlog=0)] * (COOL_DOWN_S - 1), [Load(backlog=2500)]
    assert after(600, rule(backlog=1000), 3, (calm + busy) * 9) == 3


def test_the_highest_of_the_cool_down_decides_how_many_stay() -> None:
    loads = [Load(backlog=1200 if second == 30 else 0) for second in range(COOL_DOWN_S + 1)]
    assert after(COOL_DOWN_S, rule(backlog=1000), 4, loads) == 3


def test_after_a_change_the_next_one_needs_as_long_again() -> None:
    scaler = Scaler(rule(backlog=1000, max=8))
    times = []
    replicas = 1
    for second in range(30):
        decision = scaler.look(float(second), replicas, Load(backlog=8000))
        if decision:
            replicas = decision.replicas
            times.append((second, replicas))
    assert times == [(5, 2), (11, 4), (17, 8)]


def test_a_number_outside_the_range_is_brought_into_it_at_once() -> None:
    assert after(0, rule(backlog=1000, min=2), 1, Load()) == 2
    assert after(0, rule(backlog=1000, max=3), 9, Load()) == 3


def test_the_reason_names_the_figures() -> None:
    scaler = Scaler(rule(backlog=10, cpu=0.5))
    decisions = [scaler.look(float(s), 1, Load(backlog=25, cpu=0.75)) for s in range(6)]
    assert decisions[-1] is not None
    assert decisions[-1].why == "25 changes wait, a replica takes 0.75 cores"


def test_cpu_is_the_average_of_the_replicas_over_some_seconds_and_not_known_before() -> None:
    spent = {1: 10.0, 2: 20.0}
    shares = CpuShares(spent.__getitem__)
    assert shares.of([1, 2], 0.0) is None
    for second in range(1, 9):
        spent[1] += 1.0
        spent[2] += 0.5
        found = shares.of([1, 2], float(second))
    assert found == pytest.approx(0.75)
    # One that has just begun has no share yet, so nothing is known of all.
    spent[3] = 0.0
    assert shares.of([1, 2, 3], 9.0) is None
    shares.keep({1})
    assert shares.of([1, 2], 10.0) is None
    assert shares.of([], 10.0) is None
    assert CPU_SPAN_S > 2


def test_a_group_is_scaled_once_a_second_by_its_rule_and_keeps_what_it_has_seen_when_others_change() -> None:
    fleet = Fleet({"a": 1, "b": 1})
    for name in ("a-0", "b-0"):
        fleet.on_ready(name)
    asked: list[str] = []

    def backlog(group: str) -> int:
        asked.append(group)
        return 5000

    scaler = Autoscaler(fleet, Sources(backlog, lambda _: 0, lambda _: 0.0))
    scaler.take({"a": rule(backlog=1000)})
    done = []
    for tenth in range(51):
        if tenth == 30:
            scaler.take({"a": rule(backlog=1000), "b": rule(backlog=1000)})
        done += scaler.turn(tenth / 10)
    assert [(s.group, s.before, s.replicas) for s in done] == [("a", 1, 2)]
    assert asked.count("a") == 6
    assert [(step.group, step.name) for step in fleet.turn() if isinstance(step, Grow)] == [("a", "a-1")]
    # The new one is not ready: nothing more comes before it is.
    assert all(s.group == "b" for second in range(6, 20) for s in scaler.turn(float(second)))
