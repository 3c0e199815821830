"""Ways between processes that can be cut: TCP proxies, told by lines on stdin what to do.

    python proxy.py

Each line is a JSON object, and is answered by one line, ``ok`` or what is wrong. ``do`` is one of:

listen   ``name``, ``port``, ``to``: a way from one port of the loopback address to another
aim      ``name``, ``to``: from now on it leads to that port; its connections end
set      ``name``, ``mode``, ``delay_s``: how it passes on. ``mode``: ``free``; ``held`` (nothing passes, connections
         stay open, as when packets are lost); ``held-there``, ``held-back`` (one direction only); ``refused``
         (connections end, and new ones at once). ``delay_s`` of each piece

What was held is passed on when the way is free again. Ends with its stdin. Uses the standard library only.
"""

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from typing import Any

MODES = ("free", "held", "held-there", "held-back", "refused")
HOST = "127.0.0.1"
CHUNK_BYTES = 64 * 1024


@dataclass
class Way:
    """``to``: where it leads, a port; 0 for nowhere."""

    to: int
    mode: str = "free"
    delay_s: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def set(self, mode: str, delay_s: float) -> None:
        self.mode, self.delay_s = mode, delay_s
        if mode == "refused":
            self.end()
        self.changed.set()
        self.changed = asyncio.Event()

    def end(self) -> None:
        for writer in self.writers:
            writer.close()

    async def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        pair = [writer]
        try:
            if self.mode == "refused" or not self.to:
                return
            far_reader, far = await asyncio.open_connection(HOST, self.to)
            pair.append(far)
            self.writers.update(pair)
            await asyncio.gather(
                self._pass(reader, far, "held-there"), self._pass(far_reader, writer, "held-back")
            )
        except OSError:
            pass
        finally:
            self.writers.difference_update(pair)
            for one in pair:
                one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, held: str) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                while self.mode in ("held", held):
                    await self.changed.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


class Proxy:
    def __init__(self) -> None:
        self._ways: dict[str, Way] = {}

    async def do(self, asked: dict[str, Any]) -> None:
        match asked["do"]:
            case "listen":
                way = self._ways[asked["name"]] = Way(asked["to"])
                await asyncio.start_server(way.met, HOST, asked["port"])
            case "aim":
                way = self._ways[asked["name"]]
                way.to = asked["to"]
                way.end()
            case "set" if asked["mode"] in MODES:
                self._ways[asked["name"]].set(asked["mode"], asked["delay_s"])
            case _:
                raise ValueError(f"not understood: {asked}")


async def main() -> None:
    proxy, loop = Proxy(), asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            await proxy.do(json.loads(line))
            answer = "ok"
        except (OSError, ValueError, KeyError) as error:
            answer = " ".join(f"{type(error).__name__}: {error}".split())
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
