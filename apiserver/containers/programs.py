"""Programs: what a scripted command is, and how one runs."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from deltawire.apiserver.containers.channels import STDERR, STDOUT, TerminalSize
from deltawire.apiserver.containers.pipes import HungUp, Pipe

# Input that waits to be read; beyond it the client is slowed down.
STDIN_BYTES_MAX = 256 << 10
READ_BYTES = 32 << 10
# Input that `Process.read_all` takes; more raises.
READ_ALL_BYTES_MAX = 64 << 20
EXIT_CODE_MAX = 255

Send = Callable[[int, bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command prints after ``delay_s``, and the exit code it ends with. Text is sent as UTF-8."""

    stdout: str | bytes = b""
    stderr: str | bytes = b""
    exit_code: int = 0
    delay_s: float = 0.0


class Process:
    """One run of a program: its arguments, its input and its output. For one event loop.

    ``environment`` is the container's. ``find`` gives the script of another command in the same container, or None.
    ``size`` is the terminal's, None until it is known. Writes wait while the client does not read, and raise
    HungUp (a ConnectionError) when it has left.
    """

    def __init__(
        self,
        argv: Sequence[str],
        send: Send,
        *,
        tty: bool = False,
        environment: Mapping[str, str] | None = None,
        find: "Callable[[tuple[str, ...]], Script | None]" = lambda argv: None,
    ) -> None:
        self.argv = tuple(argv)
        self.environment: Mapping[str, str] = environment or {}
        self.find = find
        self.tty = tty
        self.size: TerminalSize | None = None
        self.stdin = Pipe(STDIN_BYTES_MAX)
        self._send = send
        self._resized = asyncio.Event()

    async def read(self, size: int = READ_BYTES) -> bytes:
        """Input as it comes, up to ``size`` bytes; b"" at its end."""
        return await self.stdin.read(size)

    async def read_all(self) -> bytes:
        """All input up to its end. Raises ValueError beyond ``READ_ALL_BYTES_MAX``."""
        data = bytearray()
        while piece := await self.read():
            data += piece
            if len(data) > READ_ALL_BYTES_MAX:
                raise ValueError(f"the input exceeds {READ_ALL_BYTES_MAX} bytes")
        return bytes(data)

    async def write(self, data: str | bytes) -> None:
        """Print to stdout."""
        await self._print(STDOUT, data)

    async def write_error(self, data: str | bytes) -> None:
        """Print to stderr; a terminal has only one output."""
        await self._print(STDOUT if self.tty else STDERR, data)

    async def resized(self) -> TerminalSize:
        """Wait for the terminal's next size. Of sizes that came without a waiter only the last is kept."""
        await self._resized.wait()
        self._resized.clear()
        assert self.size is not None, "a resize brings a size"  # noqa: S101 - states the type's invariant
        return self.size

    def resize(self, size: TerminalSize) -> None:
        self.size = size
        self._resized.set()

    async def _print(self, channel: int, data: str | bytes) -> None:
        try:
            await self._send(channel, data.encode() if isinstance(data, str) else bytes(data))
        except ConnectionError as error:
            raise HungUp("the client has left") from error


# What a program may return: None is success, a number the exit code.
Outcome = Reply | str | bytes | int | None
# A plain function runs in the server's thread and must not wait; one that reads input is `async def`.
Program = Callable[[Process], Outcome | Awaitable[Outcome]]
# What a test may give as a script.
Script = Reply | str | bytes | Program


class BadProgram(Exception):
    """A scripted program failed in a way no program can: it raised, or returned what is no outcome."""


async def run(script: Script, process: Process) -> int:
    """Run to the end; the exit code. Raises BadProgram, and HungUp where the client has left."""
    outcome: object = script
    if callable(script):
        try:
            outcome = script(process)
            if inspect.isawaitable(outcome):
                outcome = await outcome
        except HungUp:
            raise
        except Exception as error:
            raise BadProgram(f"{type(error).__name__}: {error}") from error
    if outcome is None:
        return 0
    if isinstance(outcome, int):
        return _exit_code(outcome)
    if isinstance(outcome, str | bytes):
        outcome = Reply(outcome)
    if not isinstance(outcome, Reply):
        raise BadProgram(f"it returned {type(outcome).__name__}, not a Reply, text or an exit code")
    if outcome.delay_s > 0:
        await asyncio.sleep(outcome.delay_s)
    await process.write(outcome.stdout)
    await process.write_error(outcome.stderr)
    return _exit_code(outcome.exit_code)


def _exit_code(code: int) -> int:
    if not 0 <= code <= EXIT_CODE_MAX:
        raise BadProgram(f"{code} is not an exit code: 0 to {EXIT_CODE_MAX}")
    return int(code)
