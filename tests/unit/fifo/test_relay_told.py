"""What a broker of a shared queue tells other hosts of it."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from deltawire.common.clock import FakeClock
from deltawire.common.store.host import host_of
from deltawire.fifo.relay.told import Told
from deltawire.jetstream.brokers import BrokerState, QueueState
from deltawire.jetstream.settings import NatsSettings
from deltawire.jetstream.states import STATE_BYTES_MAX, bounded

PODS = "dev/pods"


class Asked:
    """A connection on which somebody asks."""

    settings = NatsSettings()

    def __init__(self) -> None:
        self.answers: list[BrokerState] = []

    @property
    def client(self) -> Any:
        return self

    async def connected(self) -> None:
        return

    async def subscribe(self, subject: str, cb: Any) -> None:
        self.subject, self.ask = subject, cb

    async def publish(self, reply: str, data: bytes) -> None:
        self.answers.append(msgspec.json.decode(data, type=BrokerState))


def informers(*depths: int) -> Any:
    return {PODS: SimpleNamespace(shards=[SimpleNamespace(queue=SimpleNamespace(depth=depth)) for depth in depths])}


def answers_of(asked: Asked, told: Told) -> list[BrokerState]:
    async def ask() -> None:
        await told.serve()
        await asked.ask(SimpleNamespace(reply="inbox"))

    asyncio.run(ask())
    return asked.answers


def test_a_broker_answers_with_what_waits_in_its_queues_and_why_they_stand_still(tmp_path: Path):
    asked, clock = Asked(), FakeClock()
    told = Told(cast(Any, asked), "n1-x", tmp_path, silent_s=6.0, clock=clock)
    told.look(informers(3, 0), [PODS], {PODS: "its stream is full"})
    clock.advance(1.5)
    (state,) = answers_of(asked, told)
    assert asked.subject == "dw.deltawire.brokers"
    assert (state.name, state.host, state.age_s, state.silent_s) == ("n1-x", host_of(tmp_path), 1.5, 6.0)
    assert state.queues == {PODS: QueueState(depth=[3, 0], leads=True, stuck="its stream is full")}


def test_a_broker_that_has_not_looked_yet_says_nothing(tmp_path: Path):
    asked = Asked()
    assert answers_of(asked, Told(cast(Any, asked), "n1-x", tmp_path, silent_s=6.0, clock=FakeClock())) == []


def test_a_broker_makes_no_state_folder_to_name_its_host(tmp_path: Path):
    told = Told(cast(Any, Asked()), "n1-x", tmp_path / "none", silent_s=6.0, clock=FakeClock())
    told.look(informers(0), [], {})
    state = told.state()
    assert state is not None
    assert state.host == ""
    assert not (tmp_path / "none").exists()


def test_an_answer_of_a_broker_that_is_larger_than_its_bound_says_so():
    many = {f"dev/kind-{n}": QueueState(stuck="x" * 100) for n in range(STATE_BYTES_MAX // 100)}
    cut = bounded(BrokerState(name="b", queues=many))
    assert (cut.is_cut, cut.queues) == (True, {})
