"""Commands where a pipeline is on several hosts."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from deltawire.cli import freshness, requests
from deltawire.cli import trace as trace_lines
from deltawire.cli.commands import dead_letters
from deltawire.cli.commands import trace as trace_command
from deltawire.cli.hosts import elsewhere, overview
from deltawire.cli.hosts.overview import Overview
from deltawire.cli.hosts.places import Place
from deltawire.cli.supervisor.status_types import ProcessStatus, Snapshot, Totals
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


class Supervision:
    """A supervisor whose worker-1 waits for a place; counts what it is asked."""

    waiting: list[str]
    asked: list[str]

    def __init__(self, plan: Plan) -> None: ...

    def __enter__(self) -> "Supervision":
        return self

    def __exit__(self, *_: object) -> None: ...

    def ask(self, verb: str, arguments: object = None) -> dict[str, Any]:
        self.asked.append(verb)
        if verb == "status":
            states = {"worker-0": "ready", "worker-1": "standby" if self.waiting else "ready"}
            status = Snapshot(
                state="running",
                up_s=1.0,
                first_event_s=None,
                synced=True,
                totals=Totals(),
                lag_p50_ms=None,
                lag_p99_ms=None,
                processes={name: ProcessStatus(role="informer", state=state) for name, state in states.items()},
                streams={},
                informers={},
                groups={},
            )
            found: dict[str, Any] = msgspec.to_builtins(status)
            return found
        answers = {"worker-0": {} if verb == "key" else {"letters": [], "count": 0}}
        return {"workers": answers, "problems": {}, "left_out": self.waiting}


@pytest.mark.parametrize("waiting", [["worker-1"], []])
@pytest.mark.parametrize(
    ("command", "questions"),
    [(dead_letters.list_, ["dead-letters"]), (partial(trace_command.trace, "pods/web"), ["status", "key"])],
)
def test_an_answer_of_this_hosts_workers_says_where_others_have_shards_and_asks_nothing_twice(
    command: Callable[..., int],
    questions: list[str],
    waiting: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(Supervision, "waiting", waiting, raising=False)
    monkeypatch.setattr(Supervision, "asked", [], raising=False)
    for module in (requests, freshness, trace_lines):
        monkeypatch.setattr(module, "Supervision", Supervision)
    monkeypatch.setattr(trace_lines, "_served", lambda *_: "not asked")
    config = tmp_path / "deltawire.yaml"
    config.write_text(
        "{version: 1, clusters: {dev: {}}, informers: [{resource: pods}], archive: {kind: nats},"
        f" store: {{dir: '{tmp_path}/state'}}}}"
    )
    assert command(config=config) == 0
    note = "this is of this host only: worker-1 waits here"
    assert (note in capsys.readouterr().err) == bool(waiting)
    assert Supervision.asked == questions


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
