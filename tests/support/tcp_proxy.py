"""A TCP proxy between two roles whose path can be held, cut and slowed down."""

import asyncio
import threading
from collections.abc import Iterable
from types import TracebackType

_CHUNK_BYTES = 64 * 1024


class Path:
    """The way to one port. ``held``: nothing passes, connections stay open, as when packets are lost."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.held = False
        self.delay_s = 0.0
        self.connections = 0
        self.pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()


class TcpProxy:
    """Listens at ``outer``:port and forwards to ``inner``:port, for each port. Use as a context manager."""

    def __init__(self, ports: Iterable[int], outer: str = "127.0.0.2", inner: str = "127.0.0.1") -> None:
        self.paths = {port: Path(port) for port in ports}
        self._outer, self._inner = outer, inner
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="tcp-proxy")
        self._stop = asyncio.Event()
        self._ready = threading.Event()

    def __enter__(self) -> "TcpProxy":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def hold(self, port: int, *, held: bool = True) -> None:
        self.paths[port].held = held

    def cut(self, port: int) -> None:
        """End all connections, on both sides."""
        self._loop.call_soon_threadsafe(self._close, port, True)

    def half(self, port: int) -> None:
        """End the connecting side of all connections; the bound side is left open, and hears nothing any more."""
        self._loop.call_soon_threadsafe(self._close, port, False)

    def _close(self, port: int, both: bool) -> None:
        for outer, inner in self.paths[port].pairs:
            outer.close()
            if both:
                inner.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        servers = []
        for path in self.paths.values():

            async def met(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: Path = path
            ) -> None:
                await self._connect(path, reader, writer)

            servers.append(await asyncio.start_server(met, self._outer, path.port))
        self._ready.set()
        await self._stop.wait()
        for server in servers:
            server.close()
        for path in self.paths.values():
            for outer, inner in path.pairs:
                outer.close()
                inner.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connect(self, path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner = await asyncio.open_connection(self._inner, path.port)
        except OSError:
            writer.close()
            return
        path.connections += 1
        pair = (writer, inner)
        path.pairs.add(pair)
        try:
            await asyncio.gather(
                self._pass(path, reader, inner, closes=False),
                self._pass(path, inner_reader, writer, closes=True),
            )
        finally:
            path.pairs.discard(pair)
            writer.close()
            inner.close()

    async def _pass(
        self, path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, closes: bool
    ) -> None:
        """``closes``: the end of this direction ends the other side, too; a connecting side may end alone (`half`)."""
        try:
            while data := await reader.read(_CHUNK_BYTES):
                while path.held:  # noqa: ASYNC110  # another thread lets go, and is not of this loop
                    await asyncio.sleep(0.02)
                if path.delay_s:
                    await asyncio.sleep(path.delay_s)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        if closes:
            writer.close()
