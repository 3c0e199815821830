"""The `control` socket (docs/wire.md §8): roles report to it, commands ask through it, it asks the workers."""

import logging
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import msgspec
import zmq

from deltawire.cli.supervisor import rights
from deltawire.cli.supervisor.reports import fault_of
from deltawire.common.clock import Clock
from deltawire.common.control import beats_every
from deltawire.common.errors import CapacityError, DeltawireError, ProtocolError
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.loop import Loop
from deltawire.common.wire.audit import REFUSALS_EVERY_S, REFUSALS_MAX, Lines, audit
from deltawire.common.wire.codec import take
from deltawire.common.wire.follow import LOOK_EVERY_S
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.listener_events import Arrived, Gone, Hello
from deltawire.common.wire.messages.control import Answer, Ask, OfRole
from deltawire.common.wire.messages.fields import Message
from deltawire.common.wire.session import Peer

log = logging.getLogger(__name__)

WORKER = "informer"
REFLECTOR = "reflector"
COMMAND = "cli"
# Requests that the workers answer; their bodies are passed on as they are.
FOR_WORKERS = frozenset({"key", "dead-letters", "dead-letters-retry", "dead-letters-drop"})
FOR_REFLECTORS = frozenset({"relist"})
# A worker answers within its turn; one that does not is reported as missing.
ANSWER_TIMEOUT_S = 5.0
# Questions under way; more than this is a command in a loop.
QUESTIONS_MAX = 64
# Requests of one peer that are taken in a turn: a command waits for its answers.
ASKS_PER_TURN_MAX = 64
# Frames taken in a turn.
FRAMES_PER_TURN = 100
TOO_LARGE = "the answer is larger than a message may be (ask for less: one handler, one key)"

Finish = Callable[[dict[str, Any]], None]


class ToWorkers:
    """An answer that the processes of a role have to give: the verb is passed on to each of them."""

    def __init__(self, role: str = WORKER, leave_out: Collection[str] = ()) -> None:
        """``leave_out``: processes that have nothing to say."""
        self.role = role
        self.leave_out = leave_out


@dataclass(slots=True)
class _Question:
    asker: Peer
    number: int
    deadline_s: float
    waiting: set[str]
    left_out: list[str]
    answers: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


class ControlSocket:
    """Reports and requests. ``answer`` gives a request's answer, or `ToWorkers`; DeltawireError refuses it."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        *,
        heartbeat_s: float,
        run: str = "",
        on_ready: Callable[[str, int], None],
        on_silent: Callable[[str, int], None],
        on_status: Callable[[str, int, dict[str, Any]], None],
        answer: Callable[[str, dict[str, Any]], Any],
        clock: Clock,
    ) -> None:
        silent_s = SILENT_INTERVALS_MAX * beats_every(endpoint) * heartbeat_s
        self._listener = Listener(context, endpoint, clock=clock, silent_s=silent_s, run=run)
        self._listener.watch_ends()
        self._on_ready = on_ready
        self._on_silent = on_silent
        self._on_status = on_status
        self._answer = answer
        self._clock = clock
        self._questions: dict[int, _Question] = {}
        self._malformed = 0
        # How often each peer has asked in this turn.
        self._asks_of: Counter[bytes] = Counter()
        # Of the audit's log, about what commands ask for.
        self._lines = Lines(REFUSALS_MAX, REFUSALS_EVERY_S)
        self._asked = 0

    @property
    def unanswered(self) -> int:
        """Messages of peers without a session beyond what is answered."""
        return self._listener.unanswered

    @property
    def connections_refused(self) -> int:
        """Connections that were refused for their key."""
        return self._listener.connections_refused

    @property
    def rejected(self) -> int:
        """Messages and hellos that broke the rules."""
        return self._malformed + self._listener.malformed + self._listener.refused

    def join(self, loop: Loop) -> None:
        """Deal with what comes in the turns of ``loop``; give up waiting for workers that do not answer.

        Answers are sent at once, each alone: no credit bounds them, so one that does not fit is that asker's problem.
        """
        loop.reads(self._listener.socket, self._read)
        loop.every(LOOK_EVERY_S, self._look)
        gone = loop.timer(lambda: self._read(0))
        self._listener.on_gone = lambda: gone.hurry(float("-inf"))

    def _look(self) -> None:
        self._listener.tick()
        self._read(0)
        now_s = self._clock.now_s()
        for number, question in list(self._questions.items()):
            if now_s >= question.deadline_s:
                question.problems.update(dict.fromkeys(question.waiting, "did not answer in time"))
                self._finish(number)

    def _read(self, frames_max: int = FRAMES_PER_TURN) -> None:
        self._asks_of.clear()
        for event in self._listener.receive(frames_max):
            match event:
                case Hello(peer):
                    if self._listener.welcome(peer) and peer.role != COMMAND:
                        self._on_ready(peer.name, peer.pid)
                case Gone(peer, reason):
                    if peer.role != COMMAND:
                        log.info("%s is gone: %s", peer.name, reason)
                        # Somebody who only called itself so may have gone: the process itself is still here.
                        if not any((p.name, p.pid) == (peer.name, peer.pid) for p in self._listener.peers):
                            self._on_silent(peer.name, peer.pid)
                case Arrived(peer, message):
                    self._on_message(peer, message)

    def close(self) -> None:
        self._listener.close()

    def _on_message(self, peer: Peer, packed: msgspec.Raw) -> None:
        try:
            message = take(packed, OfRole)
        except ProtocolError as error:
            self._reject(peer, str(error))
            return
        if isinstance(message, Ask):
            self._on_ask(peer, message)
        elif isinstance(message, Answer):
            self._on_answer(peer, message.id, message.ok, message.body)
        elif (fault := fault_of(message.report)) is not None:
            self._reject(peer, f"a status that breaks the rules: {fault}")
        else:
            self._on_status(peer.name, peer.pid, message.report)

    def _reject(self, peer: Peer, what: str) -> None:
        self._malformed += 1
        log.warning("reset %s: it sent %s", peer.name[:80], what)
        self._listener.reset(peer, f"sent {what}")

    def _reply(self, peer: Peer, message: Message) -> bool:
        """True unless the message is over the wire's bound: an answer can be, made of several workers' answers."""
        try:
            self._listener.answer(peer, message)
        except CapacityError as error:
            log.warning("not sent: %s", error)
            return False
        return True

    def _on_ask(self, peer: Peer, ask: Ask) -> None:
        number = ask.id
        if not self._listener.has(peer):
            # What stood behind the message that ended its session.
            return
        self._asks_of[peer.identity] += 1
        if self._asks_of[peer.identity] > ASKS_PER_TURN_MAX:
            self._reject(peer, f"more than {ASKS_PER_TURN_MAX} requests at once")
            return
        if not self._listener.may_answer(peer):
            self._reject(peer, "requests and does not read the answers")
            return
        guard = self._listener.guard
        whose = None if guard is None else guard.entry(peer.key)
        if guard is not None and whose is not None:
            if text := rights.objection(whose, ask.verb, ask.arguments):
                self._malformed += 1
                log.warning("%s asked for %s: its key may not", peer.name[:80], ask.verb[:80])
                guard.note_refusal(peer, ask.verb[:80])
                self._reply(peer, Answer(number, False, text))
                return
            if ask.verb not in rights.ONLY_READ:
                words = (whose.owner, ask.verb[:80], rights.words(ask.arguments))
                self._lines.write(self._clock.now_s(), audit.info, "control: %s asks for %s %s", *words)
        try:
            answer = self._answer(ask.verb, ask.arguments)
        except DeltawireError as error:
            self._reply(peer, Answer(number, False, str(error)))
            return
        if not isinstance(answer, ToWorkers):
            self._reply(peer, Answer(number, True, rights.narrowed(whose, ask.verb, answer)))
            return
        workers = {p.name: p for p in self._listener.peers if p.role == answer.role and p.name not in answer.leave_out}
        if len(self._questions) >= QUESTIONS_MAX:
            self._reply(peer, Answer(number, False, "too many requests at once"))
            return
        self._asked += 1
        self._questions[self._asked] = _Question(
            peer, number, self._clock.now_s() + ANSWER_TIMEOUT_S, set(workers), sorted(answer.leave_out)
        )
        for worker in workers.values():
            self._listener.send(worker.identity, Ask(self._asked, ask.verb, ask.arguments))
        if not workers:
            self._finish(self._asked)

    def _on_answer(self, peer: Peer, number: Any, is_ok: bool, body: Any) -> None:
        question = self._questions.get(number)
        if question is None or peer.name not in question.waiting:
            return
        question.waiting.discard(peer.name)
        if is_ok:
            question.answers[peer.name] = body
        else:
            question.problems[peer.name] = str(body)
        if not question.waiting:
            self._finish(number)

    def _finish(self, number: int) -> None:
        question = self._questions.pop(number)
        body = {"workers": question.answers, "problems": question.problems, "left_out": question.left_out}
        if not self._reply(question.asker, Answer(question.number, True, body)):
            self._reply(question.asker, Answer(question.number, False, TOO_LARGE))
