"""``deltawire-watch ROLE ARG…``: run ``deltawire ROLE ARG…`` as a child, and kill it when it hangs.

For containers: an engine restarts what ends and leaves alone what stands still. Process 1 of
the image: it passes signals on, reaps what the child leaves behind, and ends with the child's exit code, or
`EXIT_HUNG`. Commands that are no role take this process' place.

Small on purpose: it must not hang itself, and there is one for each role.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

from deltawire.cli.supervisor.hangs import Hangs
from deltawire.common import beats, parent
from deltawire.common.clock import Clock, SystemClock

EXIT_HUNG = 5
EXIT_DRAIN_LATE = 4
ROLES = frozenset({"reflector", "fifo", "informer", "handler", "hub"})
TURN_S = 0.25
# How much longer than its own deadline a role may take to leave; where it has not said any: the default of the config.
DRAIN_GRACE_S = 5.0
DRAIN_S = 20.0
READ_BYTES = 64 * 1024
_PR_SET_CHILD_SUBREAPER = 36
_PASSED_ON = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
_ENDING = {signal.SIGTERM, signal.SIGINT}


class Watch:
    """One child. ``argv`` is run as it is, in a process group of its own; ``name``: what it is called in the log."""

    def __init__(self, argv: Sequence[str], *, name: str = "", clock: Clock) -> None:
        self._argv = list(argv)
        self._clock = clock
        self._hangs = Hangs()
        self._name = name or argv[0]
        self._drain_s = DRAIN_S
        self._kill_at_s = float("inf")
        self._code: int | None = None
        self._exit_code: int | None = None
        self._heard = -1
        self._rest = b""
        self._pid = 0

    def run(self) -> int:
        """Until the child has ended; the exit code."""
        # Blocked, and taken one by one: no signal handler runs between two instructions.
        signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON | {signal.SIGCHLD})
        _adopt_orphans()
        self._start()
        while self._code is None:
            taken = signal.sigtimedwait(_PASSED_ON | {signal.SIGCHLD}, TURN_S)
            now_s = self._clock.now_s()
            # First: what the child said before, such as how long leaving may take.
            self._listen(now_s)
            if taken is not None and taken.si_signo in _PASSED_ON:
                self._pass_on(signal.Signals(taken.si_signo), now_s)
            self._reap()
            self._judge(now_s)
        self._signal_group(signal.SIGKILL)
        self._reap()
        return self._code if self._exit_code is None else self._exit_code

    def _start(self) -> None:
        self._heard, beat = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_inheritable(beat, True)
        environment = {**os.environ, beats.VARIABLE: str(beat), parent.VARIABLE: parent.this_process()}
        self._hangs.started(self._name, self._clock.now_s(), hang_after_s=1.0)
        self._pid = os.posix_spawnp(self._argv[0], self._argv, environment, setpgroup=0, setsigmask=())
        os.close(beat)

    def _pass_on(self, sign: signal.Signals, now_s: float) -> None:
        self._signal(sign)
        if sign in _ENDING:
            self._hangs.forget(self._name)
            self._kill_at_s = min(self._kill_at_s, now_s + self._drain_s + DRAIN_GRACE_S)

    def _listen(self, now_s: float) -> None:
        try:
            data = os.read(self._heard, READ_BYTES)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace")
            self._hangs.heard(self._name, text, now_s)
            if text.startswith("terms "):
                self._drain_s = float(text.split()[2])

    def _judge(self, now_s: float) -> None:
        for hang in self._hangs.look(now_s):
            self._say(f"hangs and is killed: {hang.describe(_state_of(self._pid))}")
            self._exit_code = EXIT_HUNG
            self._signal_group(signal.SIGKILL)
        if now_s >= self._kill_at_s:
            self._kill_at_s = float("inf")
            self._say(f"is killed: it did not leave within {self._drain_s + DRAIN_GRACE_S:g} s")
            self._exit_code = EXIT_DRAIN_LATE
            self._signal_group(signal.SIGKILL)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                code = os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else 128 - code

    def _signal(self, sign: signal.Signals) -> None:
        if self._code is None:
            os.kill(self._pid, sign)

    def _signal_group(self, sign: signal.Signals) -> None:
        try:
            os.killpg(self._pid, sign)
        except ProcessLookupError:
            pass  # nothing of it is left

    def _say(self, text: str) -> None:
        sys.stderr.write(f"deltawire-watch: {self._name} {text}\n")
        sys.stderr.flush()


def _adopt_orphans() -> None:
    # Of what our descendants leave behind process 1 becomes the parent anyway; elsewhere the kernel must be asked.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _state_of(pid: int) -> str:
    from deltawire.cli.supervisor.processes import state_of

    return state_of(pid)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code for `sys.exit`."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = [sys.executable, "-m", "deltawire.cli", *arguments]
    if not ROLES & set(arguments[:1]):
        os.execv(command[0], command)  # noqa: S606  # no shell is meant to be there
    return Watch(command, name=f"deltawire {' '.join(arguments)}", clock=SystemClock()).run()


if __name__ == "__main__":
    sys.exit(main())
