"""The server answers as a real API server (1.35) did, exchange by exchange; what it does not is pinned.

``tests/vectors/apiserver/pinned.json`` has, by an exchange's number, the exact lines in which its answer differs,
their kind and the reason. A line that is new fails, so does one that no longer occurs: pins may only become fewer.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from tests.support.recorded import EXCHANGES, Outcome, Replay, exchanges

# Exchanges that may be pinned, and those of them that may differ in the code. Both may only fall.
PINNED_MAX = 6
PINNED_IN_THE_CODE_MAX = 0
KINDS = {"text", "choice", "missing"}
PINNED = Path(EXCHANGES).with_name("pinned.json")
TOKEN = "of-the-administrator"
# Versions of a cluster with a past have three digits and more, which the comparison takes as one.
PAST_WRITES = 120


def replayed(asked: list[dict[str, Any]], run: str = "00417") -> list[Outcome]:
    with ApiServer(ApiServerOptions(tokens=(TOKEN,))) as server:
        for number in range(PAST_WRITES):
            server.create("configmaps", {"metadata": {"name": f"past-{number}"}}, "kube-public")
        return list(Replay(server.url, TOKEN, run=run).outcomes(asked))


def exact(line: str) -> str:
    """A line without the numbers that differ from run to run: ports, versions."""
    return re.sub(r"\d{3,}", "<n>", line)


@pytest.fixture(scope="module")
def outcomes() -> Iterator[list[Outcome]]:
    yield replayed(exchanges())


@pytest.fixture(scope="module")
def pinned() -> dict[int, dict[str, Any]]:
    return {int(number): pin for number, pin in json.loads(PINNED.read_text()).items()}


def test_every_answer_is_the_recorded_one_but_for_what_is_pinned(
    outcomes: list[Outcome], pinned: dict[int, dict[str, Any]]
) -> None:
    differing = {o.number: [exact(line) for line in o.differences] for o in outcomes if o.differences}
    new = {n: lines for n, lines in differing.items() if lines != pinned.get(n, {}).get("lines")}
    assert new == {}, "answers that differ from the recorded ones"


def test_what_is_pinned_still_occurs(outcomes: list[Outcome], pinned: dict[int, dict[str, Any]]) -> None:
    differing = {o.number for o in outcomes if o.differences}
    assert set(pinned) - differing == set(), "these are mended: take their pins away"


def test_pins_are_few_and_say_why(outcomes: list[Outcome], pinned: dict[int, dict[str, Any]]) -> None:
    assert len(outcomes) == 461
    assert len(pinned) <= PINNED_MAX
    assert all(pin["kind"] in KINDS and len(pin["reason"]) > 20 for pin in pinned.values())
    in_the_code = [o.number for o in outcomes if o.differs_in_code]
    assert len(in_the_code) <= PINNED_IN_THE_CODE_MAX


RENAMED = {"d1": "e1", "p1": "r1", "p9": "r9", "nginx": "caddy", "busybox": "alpine", "Sometimes": "Seldom"}
# Its answer repeats the body as it was sent.
_REPEATS_BODY = 646
_WORDS = re.compile(rf"\b({'|'.join(RENAMED)})\b")


def renamed(exchange: dict[str, Any]) -> dict[str, Any]:
    """The same exchange about other things, its fields in another order."""
    changed: dict[str, Any] = json.loads(_WORDS.sub(lambda found: RENAMED[found[1]], json.dumps(exchange)))
    if "cap" in exchange["request"]:
        changed["request"]["cap"] = exchange["request"]["cap"]
    if isinstance(changed["request"].get("body"), dict) and exchange["n"] != _REPEATS_BODY:
        changed["request"]["body"] = reversed_fields(changed["request"]["body"])
    return changed


def reversed_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_fields(value[name]) for name in reversed(value)}
    return [reversed_fields(item) for item in value] if isinstance(value, list) else value


def test_other_names_and_values_are_answered_in_the_same_shapes(pinned: dict[int, dict[str, Any]]) -> None:
    outcomes = replayed([renamed(exchange) for exchange in exchanges()], run="71829")
    differing = {o.number for o in outcomes if o.differences}
    assert differing <= set(pinned), "answers that hold for the recorded names only"
