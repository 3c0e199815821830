"""Files that are looked at in a thread, until what is done at a change can be relied on: all of it is written.

Not here: which files (`reload`, `cluster_watch`), what a change leads to (`apply`).
"""

import threading
from collections.abc import Callable
from typing import Generic, Self, TypeVar

S = TypeVar("S")


class FileWatch(Generic[S]):
    """Looks each ``every_s`` while it is entered. ``look``: how the files are now, to be compared.

    ``changed`` is called with how they were and how they are, once two looks in a row find the same.
    """

    def __init__(
        self, name: str, every_s: float, look: Callable[[], S], changed: Callable[[S, S], object]
    ) -> None:
        self._every_s = every_s
        self._look = look
        self._changed = changed
        self._known = look()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            now = self._look()
            if now == self._known:
                continue
            # A file is written in pieces, and several in a row.
            while not self._stop.wait(self._every_s) and (later := self._look()) != now:
                now = later
            if self._stop.is_set():
                return
            before, self._known = self._known, now
            self._changed(before, now)
