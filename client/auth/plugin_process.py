"""Runs a credential plug-in: no shell, a deadline, a bound on what it may print."""

import os
import selectors
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deltawire.common.clock import Clock
from deltawire.common.errors import CredentialsError

# The first is for a plug-in that talks to an identity provider, the second for one that prompts a person.
PLUGIN_TIMEOUT_S = 60.0
INTERACTIVE_TIMEOUT_S = 300.0
PRINTED_BYTES_MAX = 1024 * 1024
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, repr=False)
class Finished:
    """How it ended. ``printed`` may hold secrets."""

    exit_code: int
    printed: bytes


def run(argv: Sequence[str], env: Mapping[str, str], *, is_interactive: bool, clock: Clock) -> Finished:
    """Run ``argv`` to its end. Its stdin is ours only if ``is_interactive``.

    Its stderr is ours only on a terminal. Elsewhere ours is a log, or the last words of a role in `status`, and what a
    plug-in complains of may hold secrets: it is thrown away.

    Raises CredentialsError for a program that is not there, takes too long or prints too much; it is
    killed then, with its children unless it shares our terminal.
    """
    timeout_s = INTERACTIVE_TIMEOUT_S if is_interactive else PLUGIN_TIMEOUT_S
    try:
        process = subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=None if is_interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if _stderr_is_terminal() else subprocess.DEVNULL,
            # A program that reads the terminal must stay in the group that owns it.
            start_new_session=not is_interactive,
        )
    except FileNotFoundError:
        raise CredentialsError(f"the exec plug-in {argv[0]!r} is not installed: not found") from None
    except OSError as error:
        raise CredentialsError(f"the exec plug-in {argv[0]!r} cannot be run: {error.strerror}") from None
    except ValueError:
        raise CredentialsError(
            f"the exec plug-in {argv[0]!r} cannot be run: a zero byte in its arguments or variables"
        ) from None
    is_done = False
    with process:
        try:
            printed = _read(process, clock.now_s() + timeout_s, clock)
            finished = Finished(process.wait(timeout=max(0.1, timeout_s)), printed)
            is_done = True
        except subprocess.TimeoutExpired:
            raise CredentialsError(
                f"the exec plug-in {argv[0]!r} was stopped: not done after {timeout_s:.0f} s"
            ) from None
        except _TooMuch:
            raise CredentialsError(
                f"the exec plug-in {argv[0]!r} was stopped: it printed more than {PRINTED_BYTES_MAX} bytes"
            ) from None
        finally:
            if not is_done:
                _kill(process, whole_group=not is_interactive)
    return finished


def _stderr_is_terminal() -> bool:
    try:
        return os.isatty(2)
    except OSError:
        return False  # closed


class _TooMuch(Exception):
    """It does not stop printing."""


def _read(process: "subprocess.Popen[bytes]", deadline_s: float, clock: Clock) -> bytes:
    """All that it prints until it closes stdout."""
    out = process.stdout
    if out is None:
        raise AssertionError("stdout is a pipe")
    parts: list[bytes] = []
    size = 0
    with selectors.DefaultSelector() as selector:
        selector.register(out, selectors.EVENT_READ)
        while True:
            left_s = deadline_s - clock.now_s()
            if left_s <= 0 or not selector.select(left_s):
                raise subprocess.TimeoutExpired(process.args, 0)
            part = os.read(out.fileno(), _READ_BYTES)
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > PRINTED_BYTES_MAX:
                raise _TooMuch


def _kill(process: "subprocess.Popen[bytes]", *, whole_group: bool) -> None:
    try:
        if whole_group:
            # Also where the program itself has ended: a child of it may hold its output open.
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except ProcessLookupError:
        pass  # all ended by themselves
