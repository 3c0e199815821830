"""The few programs every container has: what a tiny image brings."""

import asyncio
import re

from deltawire.apiserver.containers.programs import Process, Program, Reply

SLEEP_MAX_S = 24 * 3600.0
_EXIT = re.compile(r"\s*exit(?:\s+([0-9]{1,3}))?\s*;?\s*")


def find(argv: tuple[str, ...]) -> Program | None:
    """The program that these arguments run; None where such a container has none."""
    if not argv:
        return None
    name = argv[0].removeprefix("/usr").removeprefix("/bin/")
    if name in ("sh", "bash", "ash"):
        return _shell(argv)
    return _PROGRAMS.get(name)


def _shell(argv: tuple[str, ...]) -> Program | None:
    """``sh -c 'exit N'`` and ``sh -c 'PROGRAM WORDS'`` without anything a shell would have to expand."""
    if len(argv) < 3 or argv[1] != "-c":
        return None
    found = _EXIT.fullmatch(argv[2])
    if found is not None:
        code = int(found[1] or 0) % 256
        return lambda process: code
    words = tuple(argv[2].split())
    if not re.fullmatch(r"[\w\s./:=,@+-]*", argv[2]):
        return None
    program = find(words)
    if program is None:
        return lambda process: Reply(stderr=f"sh: {words[0] if words else ''}: not found\n", exit_code=127)

    def run_words(process: Process) -> object:
        process.argv = words
        return program(process)

    return run_words  # type: ignore[return-value]  # an outcome, or one to wait for: `run` tells them apart


def _echo(process: Process) -> str:
    words = process.argv[1:]
    ends_line = words[:1] != ("-n",)
    return " ".join(words if ends_line else words[1:]) + ("\n" if ends_line else "")


async def _cat(process: Process) -> Reply | None:
    if len(process.argv) > 1 and process.argv[1] != "-":
        name = process.argv[1]
        return Reply(stderr=f"cat: can't open '{name}': No such file or directory\n", exit_code=1)
    while data := await process.read():
        await process.write(data)
    return None


async def _sleep(process: Process) -> Reply | None:
    try:
        seconds = float(process.argv[1])
    except (IndexError, ValueError):
        return Reply(stderr="usage: sleep SECONDS\n", exit_code=1)
    await asyncio.sleep(min(max(seconds, 0.0), SLEEP_MAX_S))
    return None


_PROGRAMS: dict[str, Program] = {
    "cat": _cat,
    "echo": _echo,
    "false": lambda process: 1,
    "sleep": _sleep,
    "true": lambda process: 0,
}
