"""A log that is shown while it grows."""

import asyncio
from collections.abc import Awaitable, Callable

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.logs import LogOptions
from deltawire.apiserver.core.pods import PodLife, container_of
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.http.streams import OpenStreams

# Lines joined into one write.
WRITE_BYTES_MAX = 256 << 10


class LogFollower:
    """Raises StatusError 400 for a container that is not there."""

    def __init__(self, core: ApiCore, streams: OpenStreams, pod: Record, options: LogOptions) -> None:
        self._core = core
        self._streams = streams
        self._pod = pod
        self._container = container_of(pod, options.container)
        self._reader = core.logs.open(pod, options)

    async def copy(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Write what there is and what comes, until the container ends, the limit is reached or the server stops.

        A container that does not run prints no more: what there is, is all.
        """
        look = asyncio.Event()
        self._core.logs.subscribe(look.set)
        try:
            life = PodLife(self._core.store, self._pod, self._container, look.set)
            with self._streams.waking(look.set), life:
                while True:
                    look.clear()
                    # Asked before the last look at the text: what was printed before the end is shown.
                    is_over = life.is_over or self._streams.is_stopping
                    while data := self._reader.take(WRITE_BYTES_MAX):
                        await write(data)
                    if is_over or self._reader.is_full:
                        return
                    await look.wait()
        finally:
            self._core.logs.unsubscribe(look.set)
