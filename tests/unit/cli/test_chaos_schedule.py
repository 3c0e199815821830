"""A seed makes one schedule, and its actions make configs that can be run."""

import pytest

from deltawire.cli.chaos.actions import Kind
from deltawire.cli.chaos.processes import kind_of
from deltawire.cli.chaos.schedule import CHANGES, FAULTS, kills_and_stops, lasts_s, schedule
from deltawire.cli.chaos.shape import GROUPS_MAX, LISTER_GROUP, Places, Shape, changed, config
from deltawire.common.config.schema import Config
from deltawire.common.errors import ConfigError

PLACES = Places(
    folder="/r", kubeconfig="/r/kubeconfig", state="/r/state", listen="127.0.0.1:9",
    recorder=("python", "recorder.py"), lister_plugin="/r/lister.py",
)  # fmt: skip

NATS_ONLY = {
    Kind.HOST_KILL, Kind.HOST_LOSS, Kind.NATS_KILL, Kind.NATS_KILL_ALL, Kind.NATS_STOP, Kind.NATS_WIPE, Kind.PARTITION
}  # fmt: skip


def test_a_seed_makes_the_same_schedule_each_time_and_another_seed_another():
    assert schedule(7, 60) == schedule(7, 60)
    assert schedule(7, 60) != schedule(8, 60)


def test_a_longer_schedule_begins_as_a_shorter_one_of_its_seed():
    short = schedule(7, 30)
    assert schedule(7, 90)[: len(short)] == short


def test_in_some_schedules_everything_happens_and_all_in_its_time():
    actions = [action for seed in range(20) for action in schedule(seed, 60)]
    assert {action.kind for action in actions} == set(Kind) - NATS_ONLY
    assert {action.target for action in actions if action.kind is Kind.RESTART} == set(CHANGES)
    assert {action.target for action in actions if action.kind is Kind.FAULT} == set(FAULTS)
    assert all(0 < action.at_s < 60 for action in actions)


def test_kills_and_stops_are_as_many_as_were_asked_for():
    kinds = [action.kind for action in kills_and_stops(3, 50, 7)]
    assert kinds.count(Kind.KILL) == 50
    assert kinds.count(Kind.STOP) == 7


def test_a_run_of_stops_lasts_until_the_longest_of_them_is_over():
    actions = kills_and_stops(754111, 0, 10, stop_s_max=45.0)
    ends = [action.at_s + action.amount for action in actions]
    assert lasts_s(actions) == max(ends) > actions[-1].at_s
    assert lasts_s(kills_and_stops(1, 5, 0)) == pytest.approx(1.6)
    assert lasts_s(()) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_changed_the_config_is_a_good_one(seed):
    from msgspec import convert

    from deltawire.common.config.plan import Plan

    shape = Shape()
    names = {group.name for group in shape.groups}
    for i in range(60):
        before = shape
        shape = changed(shape, CHANGES[(seed + i * 7) % len(CHANGES)], seed * 100 + i)
        assert shape != before
        assert 1 <= len(shape.groups) <= GROUPS_MAX
        try:
            plan = Plan(convert(config(shape, PLACES), Config))
        except ConfigError as error:  # pragma: no cover - the message is what a failure needs
            pytest.fail(f"{shape}: {error}")
        assert list(plan.handlers) == [LISTER_GROUP, *(group.name for group in shape.groups)]
        # A name that was given up does not come again: the judges know groups by it.
        new = {group.name for group in shape.groups} - {group.name for group in before.groups}
        assert not new & names
        names |= new


def test_processes_are_told_apart_by_their_command_lines():
    python = ["python", "-m"]
    assert kind_of([*python, "deltawire.reflector", "--config", "c", "--index", "1"]) == (
        "reflector",
        "reflector-1",
    )
    assert kind_of([*python, "deltawire.fifo", "--config", "c", "--index", "0"]) == ("fifo", "fifo")
    assert kind_of([*python, "deltawire.informer", "--config", "c", "--index", "2"]) == ("worker", "worker-2")
    handler = [*python, "deltawire.handlers", "--config", "c", "--index", "0", "--handler", "every"]
    assert kind_of(handler) == ("handler", "every-0")
    assert kind_of([*python, "deltawire.apiserver", "--port", "0"]) == ("", "")
