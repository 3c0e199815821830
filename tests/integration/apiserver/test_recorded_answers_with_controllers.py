"""With controllers the server answers as a real one beside kube-controller-manager did.

There are no nodes that run pods, as in the recording. Time moves only where the recording waited, and each wait
ends when the controllers have come to rest.
"""

import json
import ssl
from collections.abc import Iterator

import pytest

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from tests.integration.apiserver.test_recorded_answers import PAST_WRITES, PINNED, TOKEN
from tests.support.recorded import Outcome, Replay, exchanges

pytestmark = pytest.mark.long

START_S = 1_790_000_000.0
# Time that had passed in the recording before these: a second, in which an apply has another time than the one
# before; and so long that pods were gone whose node never was there.
PAUSES = {350: 1.0, 555: 15.0}


class Clock:
    now_s = START_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def outcomes() -> Iterator[list[Outcome]]:
    clock = Clock()
    options = ApiServerOptions(tokens=(TOKEN,), controllers=True, rbac=True, objects={"nodes": 0})
    with ApiServer(options, now=clock) as server:
        for number in range(PAST_WRITES):
            server.create("configmaps", {"metadata": {"name": f"past-{number}"}}, "kube-public")

        def wait(seconds: float) -> None:
            server.settle()
            clock.now_s += seconds
            server.settle()

        context = ssl.create_default_context(cadata=server.ca_pem.decode())
        replay = Replay(server.url, TOKEN, controllers=True, wait=wait, pauses=PAUSES, context=context)
        yield list(replay.outcomes(exchanges()))


@pytest.fixture(scope="module")
def depending() -> set[int]:
    """The exchanges whose answer depends on controllers."""
    return {e["n"] for e in exchanges() if e["needs_controllers"]}


def test_every_answer_beside_controllers_is_the_recorded_one(
    outcomes: list[Outcome], depending: set[int]
) -> None:
    asked = [outcome for outcome in outcomes if outcome.number in depending]
    assert len(asked) == 72
    assert {outcome.number: outcome.differences for outcome in asked if outcome.differences} == {}


def test_controllers_change_no_answer_that_does_not_depend_on_them(
    outcomes: list[Outcome], depending: set[int]
) -> None:
    differing = {o.number for o in outcomes if o.differences} - depending
    assert differing <= {int(number) for number in json.loads(PINNED.read_text())}
