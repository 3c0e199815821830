"""A small shell for scripted containers: lists, pipes, loops, conditions, variables, `$(…)`; no files, no jobs.

Whatever is run is found as exec finds it, so that a test's own scripts work inside, too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from deltawire.apiserver.containers import programs
from deltawire.apiserver.containers.channels import STDOUT
from deltawire.apiserver.containers.pipes import Pipe
from deltawire.apiserver.containers.programs import STDIN_BYTES_MAX, Process
from deltawire.apiserver.containers.shell_syntax import (
    Command,
    Commands,
    For,
    If,
    Pipeline,
    Simple,
    Unfinished,
    Unsupported,
    While,
    Word,
    parse,
)

# Turns of all loops of one run, each at least this long: a loop that never waits must not take the server's time.
TURNS_MAX = 100_000
TURN_S = 0.001
# What `$(…)` takes, and one line of input.
TEXT_BYTES_MAX = 1 << 20
NOT_FOUND = 127
BAD_USAGE = 2

Output = Callable[[bytes], Awaitable[None]]


async def _nowhere(data: bytes) -> None:
    """/dev/null."""


@dataclass(frozen=True, slots=True)
class _Streams:
    stdin: Pipe
    out: Output
    err: Output


class _Exit(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Leave(Exception):
    """``break``, or ``continue``."""

    def __init__(self, *, goes_on: bool) -> None:
        super().__init__()
        self.goes_on = goes_on


async def run(process: Process, text: str | None) -> int:
    """Run ``text``, or what is read from the input line by line; the exit code."""
    shell = _Shell(process)
    streams = _Streams(process.stdin, process.write, process.write_error)
    try:
        if text is None:
            await shell.interactive(streams)
        else:
            await shell.commands(parse(text), streams)
    except _Exit as exit_:
        return exit_.code
    except Unsupported as error:
        await process.write_error(f"sh: syntax error: {error}\n")
        return BAD_USAGE
    except _Leave:
        return 0
    return shell.status


class _Shell:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._variables = dict(process.environment)
        self._turns = 0
        self.status = 0

    async def interactive(self, streams: _Streams) -> None:
        """One line after the other; a command that is not complete waits for the next."""
        pending, text = b"", ""
        while data := await streams.stdin.read(programs.READ_BYTES):
            pending += data
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                text += line.decode("utf-8", "replace") + "\n"
                try:
                    found = parse(text)
                except Unfinished:
                    continue
                except Unsupported as error:
                    await streams.err(f"sh: syntax error: {error}\n".encode())
                    self.status, text = BAD_USAGE, ""
                    continue
                text = ""
                await self.commands(found, streams)
            if len(pending) + len(text) > TEXT_BYTES_MAX:
                raise Unsupported(f"a command exceeds {TEXT_BYTES_MAX} bytes")
        await self.commands(parse(text + pending.decode("utf-8", "replace")), streams)

    async def commands(self, commands: Commands, streams: _Streams) -> None:
        for joint, pipeline in commands.items:
            if joint == ";" or (joint == "&&") == (self.status == 0):
                self.status = await self._pipeline(pipeline, streams)

    async def _pipeline(self, pipeline: Pipeline, streams: _Streams) -> int:
        if len(pipeline) == 1:
            return await self._command(pipeline[0], streams)
        pipes = [Pipe(STDIN_BYTES_MAX) for _ in pipeline[1:]]

        async def stage(number: int) -> int:
            shell = _Shell(self._process)
            shell._variables, shell._turns = dict(self._variables), self._turns
            stdin = pipes[number - 1] if number else streams.stdin
            out = pipes[number].put if number < len(pipes) else streams.out
            try:
                return await shell._command(pipeline[number], replace(streams, stdin=stdin, out=out))
            except _Exit as exit_:
                return exit_.code
            finally:
                if number:
                    await stdin.close()
                if number < len(pipes):
                    await pipes[number].close()

        tasks = [asyncio.create_task(stage(number)) for number in range(len(pipeline))]
        try:
            return (await asyncio.gather(*tasks))[-1]
        finally:
            for task in tasks:
                task.cancel()

    async def _command(self, command: Command, streams: _Streams) -> int:
        if isinstance(command, Simple):
            return await self._simple(command, streams)
        if isinstance(command, If):
            for condition, body in command.branches:
                await self.commands(condition, streams)
                if self.status == 0:
                    return await self._body(body, streams)
            self.status = 0
            return await self._body(command.otherwise, streams)
        try:
            if isinstance(command, For):
                for value in await self._expanded(command.words, streams):
                    self._variables[command.name] = value
                    await self._turn(command.body, streams)
            else:
                while await self._holds(command, streams):
                    await self._turn(command.body, streams)
        except _Leave:
            return 0
        return self.status

    async def _body(self, body: Commands, streams: _Streams) -> int:
        self.status = 0
        await self.commands(body, streams)
        return self.status

    async def _holds(self, loop: While, streams: _Streams) -> bool:
        await self.commands(loop.condition, streams)
        holds, self.status = (self.status == 0) != loop.is_until, 0
        return holds

    async def _turn(self, body: Commands, streams: _Streams) -> None:
        self._turns += 1
        if self._turns > TURNS_MAX:
            raise Unsupported(f"more than {TURNS_MAX} turns of loops")
        await asyncio.sleep(TURN_S)
        try:
            await self._body(body, streams)
        except _Leave as leave:
            if not leave.goes_on:
                raise

    async def _simple(self, command: Simple, streams: _Streams) -> int:
        streams = _redirected(command.redirects, streams)
        argv = tuple(await self._expanded(command.words, streams))
        values = {name: await self._text(word, streams) for name, word in command.assignments}
        if not argv:
            self._variables |= values
            return 0
        name = argv[0]
        if name == "exec" and len(argv) > 1:
            raise _Exit(await self._program(argv[1:], values, streams))
        if name == "exit":
            raise _Exit(int(argv[1]) % 256 if argv[1:] and argv[1].isdigit() else self.status)
        if name in ("break", "continue"):
            raise _Leave(goes_on=name == "continue")
        if name in (":", "cd", "set", "trap", "wait"):
            return 0
        if name in ("export", "local", "readonly"):
            self._variables |= dict(word.split("=", 1) for word in argv[1:] if "=" in word)
            return 0
        return await self._program(argv, values, streams)

    async def _program(self, argv: tuple[str, ...], values: dict[str, str], streams: _Streams) -> int:
        script = self._process.find(argv)
        if script is None:
            await streams.err(f"sh: {argv[0]}: not found\n".encode())
            return NOT_FOUND

        async def send(channel: int, data: bytes) -> None:
            await (streams.out if channel == STDOUT else streams.err)(data)

        environment = {**self._variables, **values}
        process = Process(argv, send, environment=environment, find=self._process.find)
        process.stdin = streams.stdin
        return await programs.run(script, process)

    async def _expanded(self, words: tuple[Word, ...], streams: _Streams) -> list[str]:
        """Words with their values; what is not quoted is split at white space."""
        out: list[str] = []
        for word in words:
            current: str | None = None
            for piece in word:
                value = await self._value(piece.kind, piece.text, piece.body, streams)
                if piece.kind == "text" or piece.is_quoted:
                    current = (current or "") + value
                    continue
                parts = value.split()
                if value[:1].isspace() and current is not None:
                    out.append(current)
                    current = None
                for number, part in enumerate(parts):
                    if number:
                        out.append(current or "")
                        current = None
                    current = (current or "") + part
                if value[-1:].isspace() and current is not None:
                    out.append(current)
                    current = None
            if current is not None:
                out.append(current)
        return out

    async def _text(self, word: Word, streams: _Streams) -> str:
        return "".join([await self._value(p.kind, p.text, p.body, streams) for p in word])

    async def _value(self, kind: str, text: str, body: Commands | None, streams: _Streams) -> str:
        if kind == "text":
            return text
        if kind == "variable":
            return str(self.status) if text == "?" else self._variables.get(text, "")
        data = bytearray()

        async def collect(piece: bytes) -> None:
            data.extend(piece)
            if len(data) > TEXT_BYTES_MAX:
                raise Unsupported(f"an output exceeds {TEXT_BYTES_MAX} bytes")

        try:
            await self.commands(body or Commands(), replace(streams, out=collect))
        except _Exit as exit_:
            self.status = exit_.code
        return data.decode("utf-8", "replace").rstrip("\n")


def _redirected(redirects: tuple[str, ...], streams: _Streams) -> _Streams:
    for redirect in redirects:
        if redirect in (">&2", "1>&2"):
            streams = replace(streams, out=streams.err)
        elif redirect == "2>&1":
            streams = replace(streams, err=streams.out)
        elif redirect in (">null", "1>null"):
            streams = replace(streams, out=_nowhere)
        elif redirect == "2>null":
            streams = replace(streams, err=_nowhere)
        elif redirect == "<null":
            streams = replace(streams, stdin=_empty())
    return streams


def _empty() -> Pipe:
    pipe = Pipe(1)
    pipe.end()
    return pipe
