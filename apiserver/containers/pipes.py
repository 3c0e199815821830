"""A bounded stream of bytes between two coroutines of one event loop."""

import asyncio


class HungUp(ConnectionError):
    """The reader of what is written has left."""


class Pipe:
    """``put`` waits while ``bytes_max`` are unread; a reader gets what there is, b"" after the end."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._data = bytearray()
        self._is_closed = False
        self._changed = asyncio.Condition()

    async def put(self, data: bytes) -> None:
        """Add ``data`` whole, once there is room for any of it; dropped after `close`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._is_closed or len(self._data) < self._bytes_max)
            if not self._is_closed:
                self._data += data
                self._changed.notify_all()

    async def close(self) -> None:
        """Nothing more will be put; what is there can still be read."""
        async with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def end(self) -> None:
        """As `close`, of a pipe that nobody has begun to read."""
        self._is_closed = True

    async def read(self, size: int) -> bytes:
        """Up to ``size`` bytes as soon as there are any; b"" at the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._is_closed or bool(self._data))
            data = bytes(self._data[:size])
            del self._data[: len(data)]
            self._changed.notify_all()
            return data
