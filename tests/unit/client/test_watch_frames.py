import json
import random

import pytest

from deltawire.client.rest.watch import WatchFrames
from deltawire.common.errors import TransportError


def event(name: str, event_type: str = "ADDED") -> bytes:
    return json.dumps({"type": event_type, "object": {"metadata": {"name": name}}}).encode()


def names(frames: list[tuple[str, bytes]]) -> list[str]:
    return [json.loads(data)["metadata"]["name"] for _, data in frames]


@pytest.mark.parametrize("seed", range(20))
def test_events_are_the_same_however_the_bytes_are_cut(seed: int) -> None:
    chance = random.Random(seed)
    body = b"\n".join(event(f"n{i}") for i in range(30)) + b"\n"
    frames, found = WatchFrames(), []
    while body:
        size = chance.randint(1, 200)
        found += frames.feed(body[:size])
        body = body[size:]
    assert names(found) == [f"n{i}" for i in range(30)], f"seed {seed}"


def test_events_back_to_back_on_a_line_are_taken() -> None:
    frames = WatchFrames()
    found = list(frames.feed(event("a") + event("b") + b" " + event("c", "DELETED") + b"\n"))
    assert names(found) == ["a", "b", "c"]
    assert found[-1][0] == "DELETED"


def test_a_whole_event_counts_without_its_newline_and_half_of_one_does_not() -> None:
    frames = WatchFrames()
    assert names(list(frames.feed(event("a")))) == ["a"]
    assert list(frames.feed(event("b")[:-3])) == []


@pytest.mark.parametrize(
    "line", [b"<html>\n", b'{"type": 1}\n', b"[1]\n", b"\xff\xfe\n", b"[" * 3000 + b"\n"]
)
def test_a_line_that_is_no_event_is_an_error(line: bytes) -> None:
    with pytest.raises(TransportError) as found:
        list(WatchFrames().feed(line))
    assert found.value.reason == "garbage"


def test_an_event_without_an_end_is_given_up() -> None:
    frames = WatchFrames(bytes_max=1000)
    assert list(frames.feed(b'{"x":"' + b"x" * 900)) == []
    with pytest.raises(TransportError, match="more than 1000 bytes"):
        list(frames.feed(b"x" * 200))
