"""Waking watches: once for many writes, and what a write itself costs."""

import asyncio

from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.window import Event, EventWindow, WindowLimits
from deltawire.apiserver.http.wakeups import Wakeups


class Watch:
    def __init__(self) -> None:
        self.looked = 0

    def wake_for_news(self) -> None:
        self.looked += 1


def event(version: int) -> Event:
    return Event(version, None, Record("n/a", "n", "a", "u", version, {}, {}, (), False, b"{}"))


def test_a_write_touches_no_watch_and_many_writes_are_one_look() -> None:
    async def run() -> None:
        window, wakeups = EventWindow(WindowLimits()), Wakeups()
        watches = [Watch() for _ in range(3)]
        for watch in watches:
            wakeups.join(window, watch)
        for version in range(1, 6):
            window.append(event(version))
        assert [watch.looked for watch in watches] == [0, 0, 0]
        await asyncio.sleep(0)
        assert [watch.looked for watch in watches] == [1, 1, 1]
        window.append(event(6))
        await asyncio.sleep(0)
        assert [watch.looked for watch in watches] == [2, 2, 2]

    asyncio.run(run())


def test_a_watch_that_left_is_not_looked_at_and_other_windows_are_others() -> None:
    async def run() -> None:
        window, other, wakeups = EventWindow(WindowLimits()), EventWindow(WindowLimits()), Wakeups()
        stays, leaves, elsewhere = Watch(), Watch(), Watch()
        wakeups.join(window, stays)
        wakeups.join(window, leaves)
        wakeups.join(other, elsewhere)
        window.append(event(1))
        wakeups.leave(window, leaves)
        await asyncio.sleep(0)
        assert (stays.looked, leaves.looked, elsewhere.looked) == (1, 0, 0)

    asyncio.run(run())


def test_a_window_without_watches_is_forgotten_even_with_a_look_due() -> None:
    async def run() -> None:
        window, wakeups = EventWindow(WindowLimits()), Wakeups()
        watch = Watch()
        wakeups.join(window, watch)
        window.close()
        wakeups.leave(window, watch)
        await asyncio.sleep(0)
        assert watch.looked == 0
        wakeups.join(window, watch)
        window.close()
        await asyncio.sleep(0)
        assert watch.looked == 1, "the end of a window is news"

    asyncio.run(run())
