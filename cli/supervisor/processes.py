"""The operating system's processes: start, end, beats, output, memory and CPU."""

import contextlib
import os
import selectors
import signal
import subprocess
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from deltawire.common import beats
from deltawire.common.process import usage_of

# Bytes read from one pipe in one turn: a process that prints without end does not keep the loop from the rest.
READ_BYTES = 64 * 1024
# A line longer than this is shown in parts.
LINE_BYTES_MAX = 16 * 1024
# What is kept of a process' stderr to say why it ended.
WORDS_KEPT = 60
_STATES = {"R": "running", "S": "sleeping", "D": "waiting for a disk", "T": "stopped", "t": "being traced"}


@dataclass(frozen=True, slots=True)
class Command:
    """How a process is started. ``env`` is added to ours; ``is_user_code``: the files it makes are the user's own."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    is_user_code: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line that a process wrote; ``is_error``: on stderr."""

    name: str
    text: str
    is_error: bool


class _Pipe:
    """One output of a process, cut into lines."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._rest = b""
        os.set_blocking(file.fileno(), False)

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self) -> tuple[list[str], bool]:
        """The lines that are there, and True when nothing will come any more."""
        try:
            data = os.read(self.fileno(), READ_BYTES)
        except BlockingIOError:
            return [], False
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._rest and (not data or len(self._rest) > LINE_BYTES_MAX):
            lines.append(self._rest)
            self._rest = b""
        return [line.decode(errors="replace").rstrip("\r") for line in lines], not data

    def close(self) -> None:
        self._file.close()


@dataclass(slots=True)
class _Running:
    process: "subprocess.Popen[bytes]"
    out: _Pipe
    err: _Pipe
    beats: _Pipe


class Processes:
    """The running processes by name. One thread owns it: who forks is the parent that children die with."""

    def __init__(self, *, umask: int = -1) -> None:
        """``umask``: what user code is started with; -1: ours."""
        self._umask = umask
        self._commands: dict[str, Command] = {}
        self._running: dict[str, _Running] = {}
        self._pipes: dict[int, tuple[str, _Pipe, bool]] = {}
        self._readable = selectors.DefaultSelector()
        # Apart from the output: beats are read when the reader wants to, and wake nobody.
        self._beating = selectors.DefaultSelector()
        self._last_words: dict[str, deque[str]] = {}

    def add(self, name: str, command: Command) -> None:
        """Say how a process is started."""
        self._commands[name] = command

    def start(self, name: str) -> int:
        """Start the process in a group of its own and return its pid."""
        command = self._commands[name]
        heard, beat = os.pipe()
        try:
            process = subprocess.Popen(
                list(command.argv),
                env={**os.environ, **command.env, beats.VARIABLE: str(beat)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                umask=self._umask if command.is_user_code else -1,
                pass_fds=(beat,),
            )
        except BaseException:
            os.close(heard)
            raise
        finally:
            os.close(beat)
        assert process.stdout is not None and process.stderr is not None  # noqa: S101  # both are PIPE
        running = _Running(
            process, _Pipe(process.stdout), _Pipe(process.stderr), _Pipe(os.fdopen(heard, "rb", 0))
        )
        self._running[name] = running
        self._beating.register(running.beats.fileno(), selectors.EVENT_READ, (name, running.beats))
        self._last_words[name] = deque(maxlen=WORDS_KEPT)
        for pipe, is_error in ((running.out, False), (running.err, True)):
            self._pipes[pipe.fileno()] = (name, pipe, is_error)
            self._readable.register(pipe.fileno(), selectors.EVENT_READ)
        return process.pid

    def pid(self, name: str) -> int:
        """The pid, 0 if the process does not run."""
        running = self._running.get(name)
        return running.process.pid if running else 0

    def signal(self, name: str, number: signal.Signals) -> None:
        """SIGKILL goes to the whole group, anything else to the process alone."""
        running = self._running.get(name)
        if running is None:
            return
        if number is signal.SIGKILL:
            _kill_group(running.process.pid)
        else:
            running.process.send_signal(number)

    def kill_child(self, pid: int) -> None:
        """Kill a child of one of these processes, which may have left its group."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def take_exited(self) -> list[tuple[str, int]]:
        """(name, exit code or minus signal) of processes that ended; what was left of their groups is killed."""
        exited: list[tuple[str, int]] = []
        if not self._has_any_ended():
            return exited
        for name, running in list(self._running.items()):
            pid = running.process.pid
            # WNOWAIT: until it is reaped, its number cannot be another group's.
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _kill_group(pid)
            exited.append((name, running.process.wait()))
            self._end_beats(running.beats)
            del self._running[name]
        return exited

    def absent(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that do not run, whether or not `take_exited` has returned them."""
        if not self._has_any_ended():
            return [name for name in names if name not in self._running]
        return [name for name in names if self._has_ended(name)]

    def fileno(self) -> int:
        """To be polled: readable when a process has written something, or ended."""
        return self._readable.fileno()

    def take_lines(self) -> list[Line]:
        """What the processes wrote."""
        lines = []
        for key, _ in self._readable.select(0):
            number = key.fd
            name, pipe, is_error = self._pipes[number]
            texts, is_over = pipe.read()
            lines += [Line(name, text, is_error) for text in texts]
            if is_error:
                self._last_words[name].extend(texts)
            if is_over:
                del self._pipes[number]
                self._readable.unregister(number)
                pipe.close()
        return lines

    def take_beats(self) -> list[tuple[str, str]]:
        """(name, line) of what the running processes said of their main loops since the last call."""
        beats = []
        for key, _ in self._beating.select(0):
            name, pipe = key.data
            lines, is_over = pipe.read()
            beats += [(name, line) for line in lines]
            if is_over:
                self._beating.unregister(pipe.fileno())
        return beats

    def state(self, name: str) -> str:
        """What the process does in the kernel's eyes: ``stopped``, ``running``, ``sleeping``…; "" where unknown."""
        return state_of(self.pid(name))

    def last_words(self, name: str) -> list[str]:
        """The last lines on stderr of the process' latest life."""
        return list(self._last_words.get(name, ()))

    def usage(self, name: str) -> tuple[float, float]:
        """(resident MB, CPU seconds) of the process; zeros where /proc does not say."""
        return usage_of(self.pid(name))

    def close(self) -> None:
        """Kill what still runs and wait for it."""
        for running in self._running.values():
            _kill_group(running.process.pid)
            running.process.wait()
            self._end_beats(running.beats)
        self._running.clear()
        for _, pipe, _ in self._pipes.values():
            pipe.close()
        self._pipes.clear()
        self._readable.close()
        self._beating.close()

    def _end_beats(self, pipe: _Pipe) -> None:
        with contextlib.suppress(KeyError):
            self._beating.unregister(pipe.fileno())
        pipe.close()

    def _has_any_ended(self) -> bool:
        """False if no child has ended that was not reaped: one question in place of one for each process."""
        try:
            return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return False

    def _has_ended(self, name: str) -> bool:
        running = self._running.get(name)
        if running is None:
            return True
        return os.waitid(os.P_PID, running.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def state_of(pid: int) -> str:
    """In words, from /proc; "" where it does not say."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
    return _STATES.get(letter, "")


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it had no children, or they are gone
