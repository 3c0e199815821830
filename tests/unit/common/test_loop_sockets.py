"""Sockets in a loop: nothing that arrives is missed, and only what was used is asked."""

import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from deltawire.common import loop as loop_module
from deltawire.common.clock import FakeClock
from deltawire.common.loop import Loop
from deltawire.common.wire.codec import plain
from deltawire.common.wire.follow import FRAMES_PER_TURN, follow_link, follow_listener
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.link import Arrived, Link, Opened
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.listener_events import Arrived as Came
from deltawire.common.wire.listener_events import Hello
from tests.unit.common.test_loop import Turns

LONG_S = 60.0
# It stands still: no timer comes to the help of what was missed.
CLOCK = FakeClock()


@pytest.fixture
def loop() -> Loop:
    return Loop(CLOCK, Turns(), idle_s=LONG_S)


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield made
    made.destroy(linger=0)


def test_a_turn_asks_only_sockets_that_were_used(loop, context, monkeypatch):
    asked = []
    monkeypatch.setattr(loop_module, "has_message", asked.append)
    near, quiet = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    far = context.socket(zmq.PAIR)
    near.bind("inproc://near")
    far.connect("inproc://near")
    read = []
    used = loop.note_use(near)
    loop.note_use(quiet)
    loop.reads(near, lambda: (read.append(near.recv(zmq.NOBLOCK)), used()))
    loop.reads(quiet, lambda: None)
    asked.clear()
    far.send(b"1")
    while not read:
        loop.turn(wait_s_max=LONG_S)
    assert read == [b"1"]
    assert set(asked) == {near}
    for socket in (near, quiet, far):
        socket.close(linger=0)


@pytest.mark.parametrize("frames", [1, FRAMES_PER_TURN, 5 * FRAMES_PER_TURN + 1])
def test_all_frames_of_a_link_and_a_listener_arrive(loop, context, tmp_path, frames):
    """A socket's file tells of several frames once, and of none that came while something was sent."""
    endpoint = f"ipc://{tmp_path}/s"
    listener = Listener(context, endpoint, clock=CLOCK, silent_s=LONG_S)
    link = Link(context, endpoint, new_identity("worker", "worker-0"), dict, clock=CLOCK, silent_s=LONG_S)
    other = Loop(CLOCK, Turns(), idle_s=LONG_S)
    came, answers, is_open = [], [], threading.Event()

    def take(event) -> None:
        if isinstance(event, Hello):
            listener.welcome(event.peer)
        elif isinstance(event, Came):
            came.append(event)
            listener.send(event.peer.identity, plain("answer", len(came)))

    def answered(event) -> None:
        if isinstance(event, Opened):
            is_open.set()
        elif isinstance(event, Arrived):
            answers.append(event)

    deadline_s = time.monotonic() + LONG_S
    follow_listener(loop, listener, take)
    follow_link(other, CLOCK, link, answered)

    def turn_other() -> None:
        while not is_open.is_set() and time.monotonic() < deadline_s:
            other.turn(wait_s_max=0.1)
        for number in range(frames):
            link.send(plain("question", number))
            link.flush()
        while len(answers) < frames and time.monotonic() < deadline_s:
            other.turn(wait_s_max=0.1)

    thread = threading.Thread(target=turn_other)
    thread.start()
    while thread.is_alive():
        loop.turn(wait_s_max=0.1)
    thread.join()
    link.close()
    listener.close()
    assert len(came) == len(answers) == frames
