"""Commands where a pipeline is on several hosts."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deltawire.cli.hosts import elsewhere, overview
from deltawire.cli.hosts.overview import Overview
from deltawire.cli.hosts.places import Place
from deltawire.cli.view.hosts import place_lines
from deltawire.common.clock import SystemClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.jetstream import moves
from deltawire.jetstream.connection import Connection
from deltawire.jetstream.moves import Here, who_is_there
from deltawire.jetstream.settings import NatsSettings


class Answering:
    """A connection over which a second worker answers long after the first one."""

    settings = NatsSettings()
    late_s = 0.3

    @property
    def client(self) -> Any:
        return self

    async def connected(self) -> None:
        return

    def new_inbox(self) -> str:
        return "inbox"

    async def subscribe(self, subject: str, cb: Any) -> Any:
        self.answer = cb
        return self

    async def unsubscribe(self) -> None:
        self.late.cancel()

    async def publish(self, subject: str, data: bytes, reply: str) -> None:
        await self._say("one")
        self.late = asyncio.ensure_future(self._say_late())

    async def _say_late(self) -> None:
        await asyncio.sleep(self.late_s)
        await self._say("late")

    async def _say(self, host: str) -> None:
        await self.answer(SimpleNamespace(data=moves.encode(Here(place="worker-0", host=host, node="n"))))


def test_a_worker_on_a_busy_host_that_answers_late_is_listed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(moves, "QUIET_S", 0.01)
    connection = cast(Connection, Answering())
    found = asyncio.run(who_is_there(connection, is_patient=True))
    assert [here.host for here in found] == ["late", "one"]


def test_who_has_a_lease_is_waited_for_also_where_others_have_answered_long_before(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(moves, "QUIET_S", 0.01)
    connection = cast(Connection, Answering())
    found = asyncio.run(who_is_there(connection, wanted={("worker-0", "late")}))
    assert [here.host for here in found] == ["late", "one"]


def test_a_place_that_is_kept_for_the_host_that_had_it_last_says_so() -> None:
    place = Place(host="bb", node="n2", heard=True, lease_s=0.5, waits_for="n1 (aa)")
    lines = place_lines(Overview(can_move=True, places={"worker-0": place}, shards=[]))
    assert lines[1].split("  ")[1].strip() == "n2 (bb), waits for n1 (aa)"


@pytest.mark.parametrize(("state", "is_said"), [("standby", True), ("ready", False)])
def test_an_answer_of_this_hosts_workers_says_so_where_others_have_shards(
    state: str, is_said: bool, monkeypatch: pytest.MonkeyPatch
):
    class Supervision:
        def __init__(self, plan: Plan) -> None: ...

        def __enter__(self) -> "Supervision":
            return self

        def __exit__(self, *_: object) -> None: ...

        def ask(self, verb: str) -> dict[str, Any]:
            return {"processes": {"worker-1": {"state": state}, "worker-0": {"state": "ready"}}}

    monkeypatch.setattr(elsewhere, "Supervision", Supervision)
    raw = {
        "version": 1,
        "clusters": {"dev": {}},
        "informers": [{"resource": "pods"}],
        "archive": {"kind": "nats"},
    }
    note = elsewhere.of_this_host_only(Plan(parse(raw)))
    assert bool(note) == is_said
    assert not is_said or note.startswith("this is of this host only: worker-1 waits here")


def test_where_the_servers_do_not_answer_nothing_is_claimed_over_all_hosts_whatever_this_one_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(overview, "STATUS_S", 0.1)
    archive = {"kind": "nats", "servers": ["nats://127.0.0.1:1"]}
    raw = {"version": 1, "clusters": {"dev": {}}, "informers": [{"resource": "pods"}], "archive": archive}
    plan = Plan(parse({**raw, "store": {"dir": str(tmp_path)}}))
    found = elsewhere.of_all_hosts(plan, SystemClock(), {"ready": True})
    assert not found.is_ready(here=True)
    plain = found.as_plain()
    assert plain["places"] is None
    assert plain["hosts"]["unready"] == ["the other hosts' places are not known"]


@pytest.mark.parametrize("here", [True, False])
def test_a_pipeline_on_one_host_is_ready_as_it_is_itself_and_says_nothing_of_hosts(here: bool):
    raw = {"version": 1, "clusters": {"dev": {}}, "informers": [{"resource": "pods"}]}
    found = elsewhere.of_all_hosts(Plan(parse(raw)), SystemClock(), {"ready": here})
    assert found.is_ready(here) == here
    assert found.as_plain() == {}
