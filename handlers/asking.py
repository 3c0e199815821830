"""Requests to a pipeline's `control` socket (docs/wire.md §8), and a wait for each answer."""

import os
from socket import AF_INET, SOCK_STREAM, getaddrinfo
from typing import Any

import zmq

from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import CapacityError, DeltawireError
from deltawire.common.wire.codec import take
from deltawire.common.wire.identity import Identity, new_identity
from deltawire.common.wire.link import Arrived, Link, Opened, Refused
from deltawire.common.wire.messages.control import Answer, Ask
from deltawire.common.wire.network import TCP, host_of, is_ipv6, open_context

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 10.0
# What commands, and programs that read, call themselves.
ROLE = "cli"


class NoAnswer(DeltawireError):
    """Nobody answers, or no longer."""


def unknown_host(endpoint: str) -> str:
    """The name in an endpoint on TCP that cannot be looked up here, "" where there is none.

    It asks the resolver, and waits as long as that takes. ZeroMQ looks names up by itself, again and again, and says
    nothing when that fails.
    """
    host = host_of(endpoint)
    if not endpoint.startswith(TCP) or is_ipv6(host):
        return ""
    try:
        getaddrinfo(host, None, AF_INET, SOCK_STREAM)
    except (OSError, UnicodeError):
        return host
    return ""


def silence_hint(plan: Plan) -> str:
    """What to do where nobody answers at the plan's `control` on TCP."""
    host = unknown_host(plan.endpoint("control"))
    if host:
        return f"the name {host!r} cannot be looked up from here: write an address, or add it to DNS or /etc/hosts"
    return "start it, or see what its log says of the key" if plan.keys_dir else "start it"


class Asking:
    """A connection to `control`, for one thread. ``owner``: whose key it uses, where there are keys."""

    def __init__(self, plan: Plan, owner: str, *, clock: Clock) -> None:
        """Raises ConfigError where there is no key."""
        self._clock = clock
        self._asked = 0
        self._refusal = ""
        self._context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, owner)
        try:
            self._link = Link(
                self._context,
                plan.endpoint("control"),
                _identity(owner),
                dict,
                clock=clock,
                silent_s=ANSWER_TIMEOUT_S,
            )
        except BaseException:
            self._context.destroy(linger=0)
            raise

    def open(self, timeout_s: float = CONNECT_TIMEOUT_S) -> bool:
        """Wait until the other end has answered. Raises DeltawireError where it refuses."""
        opened = self._wait(Opened, timeout_s) is not None
        if not opened and self._refusal:
            raise DeltawireError(f"refused: {self._refusal}")
        return opened

    def ask(self, verb: str, arguments: dict[str, Any] | None = None) -> Any:
        """The answer's body. Raises DeltawireError with the other end's own words when it refuses, else NoAnswer."""
        self._asked += 1
        if not self._link.send(Ask(self._asked, verb, arguments or {})):
            raise NoAnswer("the supervisor has just gone")
        deadline_s = self._clock.now_s() + ANSWER_TIMEOUT_S
        while (left_s := deadline_s - self._clock.now_s()) > 0:
            event = self._wait(Arrived, left_s)
            if isinstance(event, Arrived):
                answer = take(event.message, Answer)
                if answer.id == self._asked:
                    if not answer.ok:
                        raise DeltawireError(str(answer.body))
                    return answer.body
            if not self._link.is_open:
                raise NoAnswer("the supervisor has just gone")
        raise DeltawireError(f"the supervisor did not answer within {ANSWER_TIMEOUT_S:g} s")

    def close(self) -> None:
        self._link.close()
        self._context.term()

    def _wait(self, kind: type[Opened] | type[Arrived], timeout_s: float) -> Opened | Arrived | None:
        deadline_s = self._clock.now_s() + timeout_s
        while True:
            try:
                events = [*self._link.tick(), *self._link.receive(frames_max=1)]
            except CapacityError:
                # libzmq gives a connection up that shows no key where one is wanted.
                text = f"who is at {self._link.endpoint.partition('://')[2]} lets nobody in without a key"
                raise NoAnswer(text, hint="name yours with --key FILE") from None
            for event in events:
                if isinstance(event, kind):
                    return event
                if isinstance(event, Refused):
                    self._refusal = event.reason
            left_s = deadline_s - self._clock.now_s()
            if left_s <= 0:
                return None
            self._link.socket.poll(int(min(left_s, 0.1) * 1000))


def _identity(owner: str) -> Identity:
    """A key says what its owner may call itself."""
    kind, _, name = owner.partition("/")
    if kind == "handler":
        return new_identity(kind, f"{name}-{os.getpid()}-asks")
    return new_identity(ROLE, f"{ROLE}-{os.getpid()}")
