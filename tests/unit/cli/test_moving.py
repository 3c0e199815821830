"""`deltawire shards move`, on answers of workers that a test makes up."""

from collections.abc import Coroutine
from typing import Any, cast

import msgspec
import nats.errors
import pytest

from deltawire.cli.hosts import moving, overview
from deltawire.common.clock import FakeClock
from deltawire.common.errors import ConfigError
from deltawire.jetstream.connection import Connection, NatsError
from deltawire.jetstream.moves import Here
from deltawire.jetstream.settings import NatsSettings

GIVER = Here(place="worker-0", host="aa", node="n1", holds=True, works=True)
HEIR = Here(place="worker-0", host="bb", node="n2")
MOVED = [
    Here(place="worker-0", host="bb", node="n2", holds=True, works=True),
    Here(place="worker-0", host="aa", node="n1"),
]


class Answering:
    """What is waited for has one result after the other; the last one stays."""

    settings = NatsSettings()

    def __init__(self, *results: list[Here] | Exception | None) -> None:
        self._results = list(results)

    def wait(self, work: Coroutine[Any, Any, Any], timeout_s: float) -> Any:
        work.close()
        result = self._results.pop(0) if len(self._results) > 1 else self._results[0]
        if isinstance(result, Exception):
            raise result
        return result


def answering(*results: list[Here] | Exception | None) -> Connection:
    return cast(Connection, Answering(*results))


LOST = nats.errors.OutboundBufferLimitError()


def test_a_move_goes_on_while_the_commands_own_connection_is_lost() -> None:
    connection = answering([GIVER, HEIR], None, LOST, TimeoutError(), [GIVER], MOVED)
    said = moving.move(connection, "worker-0", "n2", lambda text: None, FakeClock())
    assert said.startswith("worker-0 moved from n1 (aa) to n2 (bb)")


def test_a_connection_that_is_lost_before_the_order_is_asked_again() -> None:
    connection = answering(LOST, [GIVER, HEIR], None, MOVED)
    said = moving.move(connection, "worker-0", "n2", lambda text: None, FakeClock())
    assert said.startswith("worker-0 moved")


WAITING = msgspec.structs.replace(HEIR, holds=True, waits_for="n1 (aa)")
BEGUN = [msgspec.structs.replace(HEIR, holds=True, works=True)]


def move_anew(*answers: Any, to: str = "n2", anew: bool = True) -> str:
    return moving.move(answering(*answers), "worker-0", to, lambda text: None, FakeClock(), anew=anew)


def test_a_host_that_waits_for_the_one_that_had_the_place_last_begins_without_it_where_it_is_told_to() -> None:
    assert move_anew([WAITING], None, LOST, [WAITING], BEGUN) == (
        "worker-0 has begun anew on n2 (bb), without what host n1 (aa) knows"
    )
    with pytest.raises(NatsError, match="has not begun with worker-0 within 90 s"):
        move_anew([WAITING], None, [WAITING])


def test_what_the_host_that_had_the_place_last_knows_is_given_up_by_an_order_of_its_own_only() -> None:
    with pytest.raises(NatsError, match="waits for host n1") as found:
        move_anew([WAITING], anew=False)
    assert found.value.hint.endswith("deltawire shards move worker-0 --to bb --anew")
    third = Here(place="worker-0", host="cc", node="n3")
    with pytest.raises(ConfigError, match="waits for host n1"):
        move_anew([WAITING, third], to="n3")
    with pytest.raises(ConfigError, match="no host waits with worker-0"):
        move_anew([GIVER, HEIR])


def test_a_place_whose_last_host_came_meanwhile_was_not_begun_anew() -> None:
    came = [Here(place="worker-0", host="aa", node="n1", holds=True, works=True), HEIR]
    with pytest.raises(NatsError, match=r"worker-0 is on n1 \(aa\): it came before n2 \(bb\) had begun anew"):
        move_anew([WAITING], None, [WAITING], came)


def test_servers_that_cannot_be_asked_are_one_line() -> None:
    with pytest.raises(NatsError, match=r"workers cannot be asked over nats://127\.0\.0\.1:4222") as found:
        overview.who(answering(LOST))
    assert "\n" not in str(found.value)


def test_a_move_over_a_connection_that_does_not_come_back_ends() -> None:
    connection = answering([GIVER, HEIR], None, LOST)
    with pytest.raises(NatsError, match="has not begun with worker-0 within"):
        moving.move(connection, "worker-0", "n2", lambda text: None, FakeClock())
