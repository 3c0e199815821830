"""Handlers in any language: a child process reads events as JSON lines on stdin and writes acks on stdout.

To the child, one object a line::

    {"id": 7, "type": "added", "resource": "pods", "cluster": "dev", "key": "default/web", "namespace": …,
     "name": …, "uid": …, "version": …, "attempt": 1, "fence": 0, "flags": [], "object": {…}, "old": null}

or, where changes were lost (`deltawire.handlers.events.Gap`)::

    {"id": 8, "type": "gap", "resource": "pods", "cluster": "dev", "namespace": "", "reason": "relist", "lost_from":
     "812", "version": "977", "object": {"metadata": {}}, …}

From the child, one object a line: ``{"id": 7, "ok": true}``, ``{"id": 7, "retry_after_s": 5, "error": …}``,
``{"id": 7, "error": …}`` (the rate limiter's delay) or ``{"id": 7, "dead": "why"}``. ``retry_after_s``
without an error asks to see the key again and is no failure. Objects are passed on as bytes.

Not here: order per key (``dispatch``), restarting the child (the whole process ends, the supervisor
restarts it).
"""

import ctypes
import logging
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import IO, Any

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.errors import PluginError
from deltawire.common.limits import KIB
from deltawire.common.meta.keys import display_key, split_key
from deltawire.handlers.calls import metadata_only
from deltawire.handlers.dispatch import DONE, Call, Outcome, Verdict
from deltawire.handlers.events import GAP_NOTICE, KINDS, Delivery, Gap, flag_names, gap_of
from deltawire.handlers.executor import Results

log = logging.getLogger(__name__)

ANSWER_BYTES_MAX = 64 * KIB
LOG_LINE_BYTES_MAX = 8 * KIB
_SHOWN_CHARS = 200
_PR_SET_PDEATHSIG = 1


class Head(msgspec.Struct):
    """What a line says beside the objects."""

    id: int
    type: str
    resource: str
    cluster: str
    key: str
    namespace: str
    name: str
    uid: str
    version: str
    attempt: int
    fence: int
    flags: list[str]


class Reply(msgspec.Struct):
    """An answer's line."""

    id: int
    ok: bool = False
    retry_after_s: float | None = None
    error: str = ""
    dead: str | None = None

    def outcome(self) -> Outcome:
        """Raises ValueError for an answer that says nothing, or two things."""
        failed = self.dead is not None or self.retry_after_s is not None or bool(self.error)
        if self.ok == failed:
            raise ValueError('expected one of "ok": true, "retry_after_s", "error", "dead"')
        if self.ok:
            return DONE
        if self.dead is not None:
            return Outcome(Verdict.DEAD, None, self.dead or "dead")
        if self.retry_after_s is not None and not self.retry_after_s >= 0:
            raise ValueError("retry_after_s is negative")
        verdict = Verdict.RETRY if self.error else Verdict.REQUEUE
        return Outcome(verdict, self.retry_after_s, self.error)


_decode_reply = msgspec.json.Decoder(Reply).decode


def line_of(number: int, delivery: Delivery) -> bytes:
    """The line of an event, with its end."""
    if delivery.kind == GAP_NOTICE:
        return _line_of_gap(number, gap_of(delivery))
    namespace, name = split_key(delivery.key)
    cluster, _, resource = delivery.informer.partition("/")
    head = Head(
        number, KINDS[delivery.kind], resource, cluster, display_key(delivery.key), namespace, name,
        delivery.uid, delivery.version, delivery.attempt, delivery.fence, flag_names(delivery.flags),
    )  # fmt: skip
    body = metadata_only(delivery, resource) if delivery.object is None else delivery.object
    old = b"null" if delivery.old is None else _one_line(delivery.old)
    return b'%b,"object":%b,"old":%b}\n' % (msgspec.json.encode(head)[:-1], _one_line(body), old)


def _line_of_gap(number: int, gap: Gap) -> bytes:
    """All that other lines have, empty, so that a program which knows nothing of gaps meets no missing field."""
    head = Head(
        number, KINDS[GAP_NOTICE], gap.resource, gap.cluster, "", gap.namespace, "", "", gap.version, gap.attempt, 0,
        ["gap"],
    )  # fmt: skip
    more: dict[str, Any] = {
        "reason": gap.reason,
        "lost_from": gap.lost_from,
        "object": {"metadata": {}},
        "old": None,
    }
    return msgspec.json.encode({**msgspec.structs.asdict(head), **more}) + b"\n"


def _one_line(body: bytes) -> bytes:
    """In JSON a line break can only stand between tokens, where a blank means the same."""
    return body.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in body or b"\r" in body else body


class ChildProcess:
    """The executable, started at once; dies with this process. An `Executor`.

    ``in_flight_max`` events are given to it at a time, never two of one key.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        in_flight_max: int,
        results: Results,
        *,
        clock: Clock,
        leaving_as_update: Collection[str] = (),
    ) -> None:
        """``leaving_as_update``: informers of which an object that leaves the filter is told as an update.

        Raises PluginError if the command cannot be started.
        """
        self._leaving_as_update = leaving_as_update
        self.capacity = in_flight_max
        self.results = results
        self.malformed = 0
        self._name = name
        self._command = shlex.join(command)[:_SHOWN_CHARS]
        self._line_number = 0
        self._log = logging.getLogger(f"handler.{name}")
        self._clock = clock
        self._lines: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: dict[int, tuple[Call, float]] = {}
        self._last_id = 0
        self._failure = ""
        self._leaving = False
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **env},
                # Ctrl-C on a terminal is for the supervisor, which drains us, and we the child.
                process_group=0,
                preexec_fn=_death_pact(),  # noqa: PLW1509  # two system calls, no lock is taken
            )
        except OSError as error:
            raise PluginError(
                f"handler {name!r}: cannot start {command[0]!r}: {error.strerror}", hint="is it on the PATH?"
            ) from None
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin and stdout and stderr  # noqa: S101  # PIPE was asked for: for the type checker only
        self._threads = [
            threading.Thread(target=self._write, args=(stdin,), name="stdin", daemon=True),
            threading.Thread(target=self._read, args=(stdout,), name="stdout", daemon=True),
            threading.Thread(target=self._relay, args=(stderr,), name="stderr", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def failure(self) -> str:
        return self._failure

    def submit(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._lines.put(call)

    def overdue(self, since_s: float) -> list[str]:
        with self._lock:
            running = list(self._running.values())
        return [f"{display_key(call.key)} in {self._name}" for call, began_s in running if began_s < since_s]

    def close(self, grace_s: float) -> bool:
        """Ends the child: its stdin is closed, then it gets SIGTERM, then SIGKILL, half of ``grace_s`` apart.

        False if a thread still runs.
        """
        self._leaving = True
        self._lines.put(None)
        if not self._ends_within(grace_s / 2):
            self._process.send_signal(signal.SIGTERM)
            if not self._ends_within(grace_s / 2):
                self._log.warning("killed: it did not end within %g s of SIGTERM", grace_s / 2)
                self._process.kill()
        self._process.wait()
        for thread in self._threads:
            # A grandchild may hold the pipes open; the threads are daemons and end with us.
            thread.join(0.5)
        return not any(thread.is_alive() for thread in self._threads)

    def _ends_within(self, timeout_s: float) -> bool:
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _write(self, stdin: IO[bytes]) -> None:
        try:
            while (call := self._lines.get()) is not None:
                if not call.begin():
                    continue
                with self._lock:
                    self._last_id += 1
                    number = self._last_id
                    self._running[number] = (call, self._clock.now_s())
                stdin.write(line_of(number, self._as_told(call.newest)))
                stdin.flush()
        except OSError:
            # The child closed its stdin: that it ends, or not, is seen on its stdout.
            pass
        finally:
            try:
                stdin.close()
            except OSError:
                # Unsent bytes for a child that is gone.
                pass

    def _as_told(self, delivery: Delivery) -> Delivery:
        is_leaving = delivery.kind == "D" and "L" in delivery.parts
        if is_leaving and delivery.informer in self._leaving_as_update:
            return msgspec.structs.replace(delivery, kind="U")
        return delivery

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            while line := stdout.readline(ANSWER_BYTES_MAX + 1):
                self._line_number += 1
                if len(line) > ANSWER_BYTES_MAX:
                    self._bad(line, f"longer than {ANSWER_BYTES_MAX} bytes")
                    while line and not line.endswith(b"\n"):
                        line = stdout.readline(ANSWER_BYTES_MAX)
                elif line.strip():
                    self._take(line)
        code = self._process.wait()
        if not self._leaving:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            self._failure = (
                f"handler {self._name!r}: its process {how}; {self._command} is to run until its stdin is closed, "
                "and what it wrote to stderr stands in the log"
            )
            self.results.wake()

    def _take(self, line: bytes) -> None:
        try:
            reply = _decode_reply(line)
        except msgspec.MsgspecError as error:
            self._bad(line, f'{error}; answers are like {{"id":7,"ok":true}}, and what is for people goes to stderr')
            return
        with self._lock:
            call, _ = self._running.pop(reply.id, (None, 0.0))
        if call is None:
            self._bad(line, f"no event with id {reply.id} waits for an answer: answer each id once")
            return
        try:
            outcome = reply.outcome()
        except ValueError as error:
            self._bad(line, str(error))
            outcome = Outcome(Verdict.RETRY, None, f"the answer cannot be understood: {error}")
        self.results.put(call, outcome)

    def _bad(self, line: bytes, why: str) -> None:
        self.malformed += 1
        shown = line[:_SHOWN_CHARS].decode(errors="replace").strip()
        self._log.error(
            "%s: line %d of its stdout is not an answer (%s): %s", self._command, self._line_number, why, shown
        )

    def _relay(self, stderr: IO[bytes]) -> None:
        with stderr:
            while line := stderr.readline(LOG_LINE_BYTES_MAX):
                self._log.info("%s", line.decode(errors="replace").rstrip())


def _death_pact() -> Callable[[], None] | None:
    """Run in the child before it becomes the executable: the kernel kills it when we die (Linux only)."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return die_with_parent
