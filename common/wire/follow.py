"""Joins the ends of a connection to a role's loop: messages when they come, hellos and silence when they are due."""

from collections.abc import Callable

from deltawire.common.clock import Clock
from deltawire.common.loop import Loop
from deltawire.common.wire.link import Link, LinkEvent
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.listener_events import ListenerEvent

# Frames taken from one socket before the other sources of the loop get their turn.
FRAMES_PER_TURN = 32
# Dead and silent peers are looked for so often.
LOOK_EVERY_S = 0.25


def follow_link(loop: Loop, clock: Clock, link: Link, take: Callable[[LinkEvent], object]) -> None:
    """Hand every event of ``link`` to ``take``, in order; a `Lost` is digested before the next hello is made."""

    def tick() -> None:
        used()
        for event in link.tick():
            take(event)
        timer.set(max(link.due_s, clock.now_s()))

    def read() -> None:
        was_open = link.is_open
        for event in link.receive(FRAMES_PER_TURN):
            take(event)
        if link.is_open is not was_open:
            timer.set(link.due_s)

    used = loop.note_use(link.socket)
    link.gather(lambda: loop.at_end(link.flush), used)
    timer = loop.timer(tick)
    timer.set(clock.now_s())
    loop.reads(link.socket, read)


def follow_listener(loop: Loop, listener: Listener, take: Callable[[ListenerEvent], object]) -> None:
    """Hand every event of ``listener`` to ``take``; who was found gone while sending comes with the next turn."""

    def read(frames_max: int = FRAMES_PER_TURN) -> None:
        for event in listener.receive(frames_max):
            take(event)

    def look() -> None:
        used()
        listener.tick()
        read(0)

    used = loop.note_use(listener.socket)
    listener.gather(lambda: loop.at_end(listener.flush), used)
    loop.reads(listener.socket, read)
    loop.every(LOOK_EVERY_S, look)
    gone = loop.timer(lambda: read(0))
    listener.on_gone = lambda: gone.hurry(float("-inf"))
