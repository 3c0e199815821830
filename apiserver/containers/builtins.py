"""The programs every container has: a small shell, and what a tiny image brings beside it."""

import asyncio
import gzip
import re
import time
from collections.abc import Callable

from deltawire.apiserver.containers import shell
from deltawire.apiserver.containers.programs import Process, Program, Reply
from deltawire.apiserver.containers.shell_syntax import Unsupported, parse

SLEEP_MAX_S = 24 * 3600.0
# Numbers that `seq` prints at most.
NUMBERS_MAX = 10_000
_ROOT = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var")
_SHELLS = ("sh", "bash", "ash")
_OPTION = re.compile(r"-[a-zA-Z0-9]+")


def find(argv: tuple[str, ...]) -> Program | None:
    """The program that these arguments run; None where such a container has none."""
    if not argv:
        return None
    name = _name(argv)
    return _shell(argv) if name in _SHELLS else _PROGRAMS.get(name)


def reads_commands(argv: tuple[str, ...]) -> bool:
    """Whether this is a shell that takes its commands from its input."""
    return bool(argv) and _name(argv) in _SHELLS and "-c" not in argv


def _name(argv: tuple[str, ...]) -> str:
    return argv[0].removeprefix("/usr").removeprefix("/bin/")


def _shell(argv: tuple[str, ...]) -> Program | None:
    """``sh -c TEXT``, or ``sh`` alone; None for a text that the small shell does not understand."""
    words = argv[1:]
    while words and words[0] in ("-e", "-x", "-l", "-i", "-u", "-ec", "-ex", "-lc", "-xc", "-exc"):
        if words[0].endswith("c"):
            words = ("-c", *words[1:])
            break
        words = words[1:]
    if not words:
        return lambda process: shell.run(process, None)
    if len(words) < 2 or words[0] != "-c":
        return None
    try:
        parse(words[1])
    except Unsupported:
        return None
    return lambda process: shell.run(process, words[1])


def _echo(process: Process) -> str:
    words = process.argv[1:]
    ends_line = words[:1] != ("-n",)
    return " ".join(words if ends_line else words[1:]) + ("\n" if ends_line else "")


async def _cat(process: Process) -> Reply | None:
    if len(process.argv) > 1 and process.argv[1] not in ("-", "/dev/stdin"):
        name = process.argv[1]
        return Reply(stderr=f"cat: can't open '{name}': No such file or directory\n", exit_code=1)
    while data := await process.read():
        await process.write(data)
    return None


def _date(process: Process) -> Reply:
    now = time.gmtime()
    for word in process.argv[1:]:
        if word.startswith("+"):
            return Reply(time.strftime(word[1:], now) + "\n")
        if not word.startswith("-"):
            return Reply(stderr=f"date: invalid date '{word}'\n", exit_code=1)
    return Reply(time.strftime("%a %b %e %H:%M:%S UTC %Y\n", now))


def _env(process: Process) -> str:
    return "".join(f"{name}={value}\n" for name, value in process.environment.items())


async def _gzip(process: Process) -> Reply:
    return Reply(gzip.compress(await process.read_all(), mtime=0))


def _ls(process: Process) -> Reply:
    """The root folder, and the programs in /bin; other folders there are empty."""
    where = next((word for word in process.argv[1:] if not _OPTION.fullmatch(word)), "/").rstrip("/")
    if where in ("", "."):
        return Reply("".join(f"{name}\n" for name in _ROOT))
    if where in ("/bin", "/usr/bin"):
        return Reply("".join(f"{name}\n" for name in sorted({*_PROGRAMS, *_SHELLS} - {"["})))
    if where.lstrip("/") in _ROOT:
        return Reply()
    return Reply(stderr=f"ls: {where}: No such file or directory\n", exit_code=1)


def _printf(process: Process) -> Reply:
    if len(process.argv) < 2:
        return Reply(stderr="usage: printf FORMAT [ARG]...\n", exit_code=1)
    values = iter(process.argv[2:])

    def value(found: re.Match[str]) -> str:
        kind = found[0][-1]
        if kind in "%":
            return "%"
        return next(values, "0" if kind == "d" else "")

    text = re.sub(r"%[sd%]", value, process.argv[1])
    return Reply(re.sub(r"\\([nt\\])", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text))


def _seq(process: Process) -> Reply:
    try:
        numbers = [int(word) for word in process.argv[1:4]]
        first, step, last = {1: (1, 1, numbers[-1]), 2: (numbers[0], 1, numbers[-1])}.get(
            len(numbers), tuple(numbers)
        )
        found = range(first, last + (1 if step > 0 else -1), step)
    except (ValueError, IndexError):
        return Reply(stderr="usage: seq [FIRST [STEP]] LAST\n", exit_code=1)
    if len(found) > NUMBERS_MAX:
        return Reply(stderr=f"seq: more than {NUMBERS_MAX} numbers\n", exit_code=1)
    return Reply("".join(f"{number}\n" for number in found))


async def _sleep(process: Process) -> Reply | None:
    words = process.argv[1:2]
    try:
        seconds = SLEEP_MAX_S if words in (("infinity",), ("inf",)) else _seconds(*words)
    except (TypeError, ValueError):
        return Reply(stderr="usage: sleep SECONDS\n", exit_code=1)
    await asyncio.sleep(min(max(seconds, 0.0), SLEEP_MAX_S))
    return None


def _seconds(word: str) -> float:
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(word[-1:])
    return float(word[:-1]) * unit if unit else float(word)


def _test(process: Process) -> int:
    """Comparisons of texts and numbers; nothing is a file."""
    words = list(process.argv[1:])
    if process.argv[0].endswith("[") and words[-1:] == ["]"]:
        words.pop()
    is_negated = words[:1] == ["!"]
    words = words[1:] if is_negated else words
    try:
        holds = _holds(words)
    except ValueError:
        return shell.BAD_USAGE
    return int(holds == is_negated)


def _holds(words: list[str]) -> bool:
    if len(words) == 3:
        left, operator, right = words
        if operator in _NUMBERS:
            return _NUMBERS[operator](int(left), int(right))
        if operator in ("=", "==", "!="):
            return (left == right) == (operator != "!=")
    if len(words) == 2 and words[0] in ("-n", "-z"):
        return bool(words[1]) == (words[0] == "-n")
    if len(words) == 2 and words[0].startswith("-"):
        return False
    if len(words) <= 1:
        return bool(words and words[0])
    raise ValueError("not understood")


_NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}


def _uptime(process: Process) -> str:
    return time.strftime(" %H:%M:%S up 1 day,  0 users,  load average: 0.00, 0.00, 0.00\n", time.gmtime())


async def _wc(process: Process) -> str:
    data = await process.read_all()
    if "-l" in process.argv:
        return f"{data.count(10)}\n"
    return f"{data.count(10)} {len(data.split())} {len(data)}\n"


_PROGRAMS: dict[str, Program] = {
    "[": _test,
    "cat": _cat,
    "date": _date,
    "echo": _echo,
    "env": _env,
    "false": lambda process: 1,
    "gzip": _gzip,
    "ls": _ls,
    "printf": _printf,
    "pwd": lambda process: "/\n",
    "seq": _seq,
    "sleep": _sleep,
    "test": _test,
    "true": lambda process: 0,
    "uptime": _uptime,
    "wc": _wc,
}
