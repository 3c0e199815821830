"""Scripted containers: which script a command has, what a program gets and gives."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from deltawire.apiserver.containers import channels, programs, scripts
from deltawire.apiserver.containers.channels import STDERR, STDOUT, TerminalSize
from deltawire.apiserver.containers.pipes import HungUp, Pipe
from deltawire.apiserver.containers.ports import Connection, echo, serve
from deltawire.apiserver.containers.programs import BadProgram, Process, Reply
from deltawire.apiserver.containers.scripts import Scripts, Where
from deltawire.common.errors import StatusError

HERE = Where("default", "p", "c")


class Run:
    """One program run to its end, with everything it printed."""

    def __init__(self, script: Any, argv: Sequence[str] = ("x",), stdin: bytes = b"", tty: bool = False):
        self.sent: dict[int, bytes] = {STDOUT: b"", STDERR: b""}

        async def send(channel: int, data: bytes) -> None:
            self.sent[channel] += data

        async def run() -> int:
            process = Process(argv, send, tty=tty, find=lambda words: found(Scripts(), *words))
            if stdin:
                await process.stdin.put(stdin)
            await process.stdin.close()
            return await asyncio.wait_for(programs.run(script, process), 20)

        self.exit_code = asyncio.run(run())

    @property
    def outcome(self) -> tuple[int, bytes, bytes]:
        return self.exit_code, self.sent[STDOUT], self.sent[STDERR]


def found(known: Scripts, *argv: str, where: Where = HERE) -> Any:
    return known.find_command(where, argv)


def test_an_exact_command_goes_before_the_longest_prefix() -> None:
    known = Scripts()
    known.command(HERE, ["ls", "-l"], "exact")
    known.command(HERE, ["ls"], "short", is_prefix=True)
    known.command(HERE, ["ls", "-a"], "long", is_prefix=True)
    known.command(HERE, [], "any", is_prefix=True)
    assert found(known, "ls", "-l") == "exact"
    assert found(known, "ls", "-l", "x") == "short"
    assert found(known, "ls", "-a", "x") == "long"
    assert found(known, "lsof") == "any"


def test_what_is_said_of_a_container_goes_before_its_pod_and_its_namespace() -> None:
    known = Scripts()
    for text, where in (
        ("all", Where("default")),
        ("pod", Where("default", "p")),
        ("container", HERE),
        ("side", Where("default", "", "side")),
        ("everywhere", Where("", "p")),
    ):
        known.command(where, ["make"], text)
    assert found(known, "make") == "container"
    assert found(known, "make", where=Where("default", "p", "side")) == "pod"
    assert found(known, "make", where=Where("default", "q", "side")) == "side"
    assert found(known, "make", where=Where("default", "q", "c")) == "all"
    assert found(known, "make", where=Where("other", "q", "c")) is None
    assert found(known, "make", where=Where("other", "p", "c")) == "everywhere"


def test_a_port_belongs_to_the_pod_whatever_container_was_named() -> None:
    known = Scripts()
    known.port(HERE, 80, b"one")
    known.port(Where("default"), 81, b"all")
    assert known.find_port(Where("default", "p"), 80) == b"one"
    assert known.find_port(Where("default", "p"), 81) == b"all"
    assert known.find_port(Where("default", "q"), 80) is None
    known.clear()
    assert known.find_port(Where("default", "p"), 81) is None


def test_scripts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "SCRIPTS_MAX", 2)
    known = Scripts()
    known.command(HERE, ["a"], "")
    known.attach(HERE, "")
    with pytest.raises(StatusError) as refused:
        known.port(HERE, 80, b"")
    assert refused.value.code == 413
    known.clear()
    known.port(HERE, 80, b"")


@pytest.mark.parametrize(
    ("argv", "outcome"),
    [
        (("echo", "a", "b"), (0, b"a b\n", b"")),
        (("/bin/echo", "-n", "a"), (0, b"a", b"")),
        (("true",), (0, b"", b"")),
        (("/usr/bin/false",), (1, b"", b"")),
        (("cat",), (0, b"typed", b"")),
        (("cat", "f"), (1, b"", b"cat: can't open 'f': No such file or directory\n")),
        (("sleep", "0"), (0, b"", b"")),
        (("sh", "-c", "exit 7"), (7, b"", b"")),
        (("sh", "-c", "exit"), (0, b"", b"")),
        (("bash", "-c", "echo hi"), (0, b"hi\n", b"")),
        (("sh", "-c", "cat"), (0, b"typed", b"")),
        (("sh", "-c", "nope 1"), (127, b"", b"sh: nope: not found\n")),
    ],
)
def test_a_container_has_the_programs_of_a_tiny_image(argv: tuple[str, ...], outcome: Any) -> None:
    assert Run(found(Scripts(), *argv), argv, stdin=b"typed").outcome == outcome


@pytest.mark.parametrize(
    "argv", [("make",), ("sh", "file"), ("sh", "-c", "a & b"), ("sh", "-c", "echo >file"), ("",)]
)
def test_what_is_not_scripted_and_not_tiny_is_not_there(argv: tuple[str, ...]) -> None:
    assert found(Scripts(), *argv) is None


def test_scripts_may_be_text_a_reply_or_a_function() -> None:
    async def slowly(process: Process) -> Reply:
        await process.write(b"<")
        await process.write(await process.read_all())
        await process.write_error("!")
        return Reply(">", exit_code=3)

    def quickly(process: Process) -> str:
        return " ".join(process.argv)

    assert Run("text").outcome == (0, b"text", b"")
    assert Run(b"\xff").outcome == (0, b"\xff", b"")
    assert Run(Reply("o", "e", 2, delay_s=0.001)).outcome == (2, b"o", b"e")
    assert Run(slowly, stdin=b"in").outcome == (3, b"<in>", b"!")
    assert Run(quickly, ("a", "b")).outcome == (0, b"a b", b"")
    assert Run(lambda process: 9).exit_code == 9


def test_a_terminal_has_one_output() -> None:
    assert Run(Reply("o", "e"), tty=True).outcome == (0, b"oe", b"")


async def refused(process: Process) -> None:
    raise ConnectionRefusedError("by something else than the client")


@pytest.mark.parametrize("bad", [lambda p: 1 / 0, lambda p: 256, lambda p: [1], Reply(exit_code=-1), refused])
def test_a_script_that_fails_says_so_and_is_no_exit_code(bad: Any) -> None:
    with pytest.raises(BadProgram):
        Run(bad)


def test_a_client_that_left_is_no_failure_of_the_script() -> None:
    async def run() -> None:
        async def send(channel: int, data: bytes) -> None:
            raise ConnectionResetError("gone")

        await programs.run("text", Process(["x"], send))

    with pytest.raises(HungUp):
        asyncio.run(run())


def test_a_size_that_nobody_waited_for_is_joined_into_the_last() -> None:
    async def run() -> list[TerminalSize | None]:
        async def send(channel: int, data: bytes) -> None:
            raise AssertionError(data)

        process = Process(["top"], send, tty=True)
        seen = [process.size]
        process.resize(TerminalSize(1, 2))
        process.resize(TerminalSize(3, 4))
        seen.append(await process.resized())
        waiting = asyncio.create_task(process.resized())
        await asyncio.sleep(0)
        assert not waiting.done()
        process.resize(TerminalSize(5, 6))
        return [*seen, await waiting, process.size]

    assert asyncio.run(run()) == [None, (3, 4), (5, 6), (5, 6)]


def test_a_full_pipe_makes_the_writer_wait_until_it_is_read_or_closed() -> None:
    async def run() -> None:
        pipe = Pipe(4)
        await pipe.put(b"abcdef")
        late = asyncio.create_task(pipe.put(b"g"))
        await asyncio.sleep(0.01)
        assert not late.done()
        assert await pipe.read(3) == b"abc"
        await late
        assert await pipe.read(9) == b"defg"
        await pipe.put(b"hijk")
        dropped = asyncio.create_task(pipe.put(b"l"))
        await asyncio.sleep(0.01)
        await pipe.close()
        await dropped
        assert [await pipe.read(9), await pipe.read(9)] == [b"hijk", b""]

    asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize(
    ("answer", "sent"), [(b"fixed", b"fixed"), (echo, b"asked"), (lambda c: c.write(b"x"), b"x")]
)
def test_what_answers_on_a_port(answer: Any, sent: bytes) -> None:
    got = bytearray()

    async def run() -> None:
        async def send(data: bytes) -> None:
            got.extend(data)

        connection = Connection(80, send)
        await connection.received.put(b"asked")
        await connection.received.close()
        await serve(answer, connection)

    asyncio.run(asyncio.wait_for(run(), 20))
    assert got == sent


@pytest.mark.parametrize("bad", [lambda c: None, lambda c: 1 / 0])
def test_a_port_is_answered_by_an_async_function(bad: Any) -> None:
    async def run() -> None:
        async def send(data: bytes) -> None:
            raise AssertionError(data)

        await serve(bad, Connection(80, send))

    with pytest.raises(BadProgram):
        asyncio.run(run())


def test_long_output_goes_in_pieces_and_nothing_goes_not_at_all() -> None:
    data = b"x" * (channels.DATA_BYTES_MAX + 1)
    pieces = channels.frames(STDOUT, data)
    assert [len(piece) for piece in pieces] == [channels.DATA_BYTES_MAX + 1, 2]
    assert b"".join(piece[1:] for piece in pieces) == data
    assert channels.frames(STDOUT, b"") == []


@pytest.mark.parametrize(
    ("message", "found"),
    [(b"\x00ab", (0, b"ab")), ("\x00ü", (0, "ü".encode())), (b"\xff\0", (255, b"\0")), (b"", None)],
)
def test_a_message_is_a_channel_and_data(message: bytes | str, found: Any) -> None:
    assert channels.unframe(message) == found


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b'{"Width":80,"Height":24}', (80, 24)),
        (b'{"Height":24,"Width":80}\n', (80, 24)),
        (b'{"Width":0,"Height":24}', None),
        (b'{"Width":"80","Height":24}', None),
        (b'{"Width":80,"Height":99999}', None),
        (b"\xff", None),
        (b"", None),
    ],
)
def test_sizes_of_a_terminal(data: bytes, size: Any) -> None:
    assert channels.size_of(data) == size


@pytest.mark.parametrize(
    ("values", "numbers"), [(["80"], [80]), (["80,81", "82"], [80, 81, 82]), (["65535"], [65535])]
)
def test_ports_may_be_repeated_or_joined(values: list[str], numbers: list[int]) -> None:
    assert channels.parse_ports(values) == numbers


@pytest.mark.parametrize("values", [[], [""], ["0"], ["65536"], ["80,"], ["-1"], ["http"], ["8 0"]])
def test_what_is_no_port_is_refused(values: list[str]) -> None:
    with pytest.raises(ValueError, match="port"):
        channels.parse_ports(values)
