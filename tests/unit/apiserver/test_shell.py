"""The small shell of scripted containers, and the programs beside it."""

import asyncio
import gzip
from typing import Any

import pytest

from deltawire.apiserver.containers import builtins, programs, shell
from deltawire.apiserver.containers.channels import STDERR, STDOUT
from deltawire.apiserver.containers.programs import Process
from deltawire.apiserver.containers.scripts import Scripts, Where

HERE = Where("default", "p", "c")


def run(*argv: str, stdin: bytes = b"", scripts: Scripts | None = None, **environment: str) -> Any:
    """Exit code, stdout, stderr."""
    known = scripts or Scripts()
    sent = {STDOUT: b"", STDERR: b""}

    def find(words: tuple[str, ...]) -> Any:
        return known.find_command(HERE, words)

    async def send(channel: int, data: bytes) -> None:
        sent[channel] += data

    async def go() -> int:
        process = Process(argv, send, environment=environment, find=find)
        if stdin:
            await process.stdin.put(stdin)
        await process.stdin.close()
        script = find(argv)
        assert script is not None
        return await asyncio.wait_for(programs.run(script, process), 30)

    return asyncio.run(go()), sent[STDOUT], sent[STDERR]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("echo a; echo b", (0, b"a\nb\n", b"")),
        ("exit 3", (3, b"", b"")),
        ("false", (1, b"", b"")),
        ("false && echo a || echo b; echo $?", (0, b"b\n0\n", b"")),
        ("true || echo a", (0, b"", b"")),
        ('printf %s "$NAME"', (0, b"it is", b"")),
        ("echo $NAME ${NAME}s '$NAME' \"a  b\" \\$x", (0, b"it is it iss $NAME a  b $x\n", b"")),
        ('A=1 B="$A x"; echo $A-$B', (0, b"1- x\n", b"")),
        ('A=1; B="$A x"; echo $A-$B', (0, b"1-1 x\n", b"")),
        ("for i in $(seq 1 3); do echo n$i; done", (0, b"n1\nn2\nn3\n", b"")),
        ("for i in a b c\ndo if [ $i = b ]; then continue; fi; echo $i; done", (0, b"a\nc\n", b"")),
        ("while true; do echo x; break; done; echo $(echo y; echo z)", (0, b"x\ny z\n", b"")),
        ('if test 2 -gt 10; then echo a; elif [ -z "" ]; then echo b; else echo c; fi', (0, b"b\n", b"")),
        ("echo one two | cat | wc -l", (0, b"1\n", b"")),
        ("echo lost >/dev/null; echo err >&2; ls /nowhere 2>/dev/null", (1, b"", b"err\n")),
        ("ls /nowhere 2>&1 | wc -l", (0, b"1\n", b"")),
        ("nothing here", (127, b"", b"sh: nothing: not found\n")),
        ("(echo never", None),
        ("echo 'open", None),
        ("echo a > file", None),
        ("sleep 1 &", None),
        ("", (0, b"", b"")),
        ("# only words\necho a # b", (0, b"a\n", b"")),
    ],
)
def test_a_shell_runs_what_it_understands_and_nothing_else(text: str, outcome: Any) -> None:
    if outcome is None:
        assert builtins.find(("sh", "-c", text)) is None
    else:
        assert run("/bin/sh", "-c", text, NAME="it is") == outcome


def test_a_shell_without_text_runs_its_input_line_by_line() -> None:
    lines = b"echo a\nfor i in 1 2\ndo echo $i\ndone\n) no\nexit 4\necho never\n"
    assert run("sh", stdin=lines) == (4, b"a\n1\n2\n", b'sh: syntax error: ")" is not understood\n')
    assert run("sh", stdin=b"echo no line end") == (0, b"no line end\n", b"")


def test_what_a_test_has_scripted_works_inside_of_the_shell() -> None:
    scripts = Scripts()

    async def upper(process: Process) -> None:
        await process.write((await process.read_all()).upper())

    scripts.command(Where(""), ["upper"], upper)
    scripts.command(HERE, ["ls"], "mine\n", is_prefix=True)
    assert run("sh", "-c", "ls -l | upper", scripts=scripts) == (0, b"MINE\n", b"")


def test_a_loop_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "TURNS_MAX", 5)
    code, out, told = run("sh", "-c", "while true; do echo x; done")
    assert (code, out) == (2, b"x\n" * 5)
    assert b"more than 5 turns" in told


def test_programs_beside_the_shell() -> None:
    assert gzip.decompress(run("sh", "-c", "echo -n text | gzip")[1]) == b"text"
    assert b"bin" in run("ls", "/")[1].split()
    assert run("date", "foo") == (1, b"", b"date: invalid date 'foo'\n")
    assert run("date", "+%Y")[1].strip().isdigit()
    assert run("env", A="1") == (0, b"A=1\n", b"")
    assert run("seq", "5", "-2", "1")[1] == b"5\n3\n1\n"
    assert run("seq", "1", "99999999")[0] == 1
    assert run("printf", "%d%%\\n", "5")[1] == b"5%\n"
    assert len(run("uptime")[1].splitlines()) == 1
