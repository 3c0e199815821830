"""Sockets on TCP with keys: who is let in, who may say what, and what a change of keys does (docs/wire.md §1)."""

import socket
import time
from dataclasses import replace

import pytest
import zmq

from deltawire.cli.supervisor.control import ControlSocket
from deltawire.cli.supervisor.gathering import NoBeats
from deltawire.common.clock import SystemClock
from deltawire.common.loop import Loop
from deltawire.common.wire import link as links
from deltawire.common.wire import listener as listeners
from deltawire.common.wire.codec import encode, pack, plain, take
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.keys import Allowed, new_secret
from deltawire.common.wire.messages.control import Answer, Ask
from tests.support.keyed import free_port, keyed_context, make_keys, raw_dealer
from tests.support.patience import Patience

OWNERS = (
    "fifo", "control", "reflector-0", "worker-0", "worker-1", "handler/alerts", "handler/audit", "cli", "reader/ann",
)  # fmt: skip
ROLES = {
    "reflector": "reflector", "worker": "informer", "handler": "handler", "cli": "cli", "fifo": "fifo", "reader": "cli",
}  # fmt: skip


class Wire:
    """One bound socket and links to it, each end in a context of its own as processes have."""

    def __init__(self, folder, socket):
        self.socket = socket
        self.keys = make_keys(folder, OWNERS)
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.server = "fifo" if socket.startswith("fifo") else socket
        self.contexts = [self.context(self.server)]
        self.listener = listeners.Listener(self.contexts[0], self.address, clock=SystemClock(), silent_s=5.0)
        self.links = []
        self.sockets = []
        self.heard = []

    def context(self, owner):
        return keyed_context(self.keys, owner, {self.address: self.socket})

    def link(self, owner, *, name=None, role=None, body=None, context_of=None):
        """A link with the owner's key, which calls itself by the other words."""
        kind, _, rest = owner.partition("/")
        context = self.context(context_of or owner)
        self.contexts.append(context)
        me = new_identity(role or ROLES[kind.partition("-")[0]], name or (f"{rest}-0" if rest else owner))
        hello = body or ({"group": rest, "informers": ["main/pods"]} if kind == "handler" else {})
        made = links.Link(context, self.address, me, lambda: dict(hello), clock=SystemClock(), silent_s=5.0)
        self.links.append(made)
        return made

    def raw(self, identity, *, pair=None):
        context = zmq.Context()
        self.contexts.append(context)
        server_key = self.keys.secret(self.server).public
        made = raw_dealer(context, self.address, identity, pair=pair, server_key=server_key)
        self.sockets.append(made)
        return made

    def turn(self, got):
        self.listener.tick()
        for event in self.listener.receive():
            self.heard.append(event)
            if isinstance(event, listeners.Hello):
                self.listener.welcome(event.peer)
        for one in self.links:
            got += [*one.tick(), *one.receive()]
        time.sleep(0.002)

    def until(self, wanted, *, seconds=20.0):
        got = []
        patience = Patience(seconds)
        while not wanted(got):
            assert not patience.is_over(), f"links heard {got}, listener {self.heard}"
            self.turn(got)
        return got

    def turn_for(self, seconds):
        got = []
        patience = Patience(seconds)
        while not patience.is_over():
            self.turn(got)
        return got

    def close(self):
        for one in self.links:
            one.close()
        for one in self.sockets:
            one.close()
        self.listener.close()
        for context in self.contexts:
            context.destroy(linger=0)


@pytest.fixture
def make(tmp_path):
    made = []

    def wire(socket="worker-0"):
        made.append(Wire(tmp_path / f"keys{len(made)}", socket))
        return made[-1]

    yield wire
    for one in made:
        one.close()


def has(kind):
    return lambda events: any(isinstance(e, kind) for e in events)


def arrived(wire):
    return [e for e in wire.heard if isinstance(e, listeners.Arrived)]


@pytest.mark.parametrize(
    ("socket", "owner"),
    [
        ("fifo-in", "reflector-0"),
        ("fifo-out", "worker-0"),
        ("worker-0", "handler/alerts"),
        ("worker-0", "cli"),
        ("worker-0", "reader/ann"),
        ("control", "reader/ann"),
        ("control", "handler/alerts"),
        ("control", "worker-1"),
        ("control", "reflector-0"),
        ("control", "fifo"),
        ("control", "cli"),
    ],
)
def test_with_the_right_key_each_role_is_let_in_where_it_belongs(make, socket, owner):
    wire = make(socket)
    link = wire.link(owner)
    wire.until(has(links.Opened))
    assert link.send(plain("ack", 1))
    wire.until(lambda _: arrived(wire))


@pytest.mark.parametrize("socket", ["fifo-in", "fifo-out", "worker-0", "control"])
@pytest.mark.parametrize("who", ["plain", "strange key"])
def test_without_an_allowed_key_no_byte_comes_and_nothing_that_is_sent_is_read(make, socket, who):
    wire = make(socket)
    stranger = wire.raw(b"alerts-0.12345678", pair=None if who == "plain" else new_secret())
    hello = plain("hello", "handler", "alerts-0", "12345678", 1, 1, "", {"group": "alerts", "informers": []})
    stranger.send(pack(0, 0, encode(hello)))
    owner = {"fifo-in": "reflector-0", "fifo-out": "worker-0", "worker-0": "handler/audit", "control": "cli"}[
        socket
    ]
    # One that is let in is welcomed meanwhile, so the stranger had its time.
    wire.link(owner)
    wire.until(has(links.Opened))
    wire.turn_for(0.3)
    assert stranger.poll(0) == 0
    assert [e.peer.name for e in wire.heard if isinstance(e, listeners.Hello)] == [
        wire.links[0].identity.name
    ]
    assert wire.listener.malformed == 0


@pytest.mark.parametrize(
    ("socket", "owner"),
    [
        ("fifo-in", "worker-0"),
        ("fifo-in", "handler/alerts"),
        ("fifo-in", "cli"),
        ("fifo-in", "reader/ann"),
        ("fifo-out", "reflector-0"),
        ("fifo-out", "handler/alerts"),
        ("fifo-out", "reader/ann"),
        ("worker-0", "worker-1"),
        ("worker-0", "reflector-0"),
    ],
)
def test_a_key_opens_only_the_sockets_of_its_role(make, socket, owner):
    wire = make(socket)
    wire.link(owner)
    assert not wire.turn_for(0.7)
    assert not wire.heard


@pytest.mark.parametrize(
    ("socket", "owner", "words", "says"),
    [
        ("fifo-out", "worker-1", {"name": "worker-0"}, "of worker-1, and it calls itself 'worker-0'"),
        ("fifo-in", "reflector-0", {"name": "reflector-9"}, "calls itself 'reflector-9'"),
        ("control", "handler/alerts", {"name": "fifo", "role": "fifo"}, "calls itself 'fifo'"),
        ("control", "handler/alerts", {"name": "audit-0"}, "calls itself 'audit-0'"),
        ("control", "handler/alerts", {"name": "cli-1", "role": "cli"}, "calls itself 'cli'"),
        ("worker-0", "handler/alerts", {"name": "audit-0"}, "calls itself 'audit-0'"),
        ("worker-0", "reader/ann", {"name": "alerts-0", "role": "handler"}, "calls itself 'handler'"),
        ("worker-0", "handler/alerts", {"name": "cli-1", "role": "cli"}, "calls itself 'cli'"),
        ("control", "reader/ann", {"name": "worker-0", "role": "informer"}, "calls itself 'informer'"),
        (
            "worker-0",
            "handler/alerts",
            {"body": {"group": "audit", "informers": ["main/pods"]}},
            "it speaks for handler 'audit'",
        ),
    ],
)
def test_a_key_speaks_for_its_owner_only(make, socket, owner, words, says):
    wire = make(socket)
    wire.link(owner, **words)
    got = wire.until(has(links.Refused))
    assert says in next(e.reason for e in got if isinstance(e, links.Refused))
    assert not wire.heard


def test_a_handlers_key_reads_only_the_informers_that_it_names(make):
    wire = make("worker-0")
    pair = wire.keys.secret("handler/alerts")
    others = [entry for entry in wire.keys.allowed() if entry.key != pair.public]
    wire.keys.allow([*others, Allowed("handler/alerts", pair.public, frozenset({"main/nodes"}))])
    wire.until(lambda _: wire.listener._guard._keys[pair.public].informers)
    wire.link("handler/alerts")
    got = wire.until(has(links.Refused))
    assert "its key may not read 'main/pods'" in next(e.reason for e in got if isinstance(e, links.Refused))


def test_a_wrong_key_with_a_right_identity_displaces_nobody_and_is_not_heard(make):
    wire = make("worker-0")
    victim = wire.link("handler/alerts")
    wire.until(has(links.Opened))
    identity = victim.identity.bytes
    thief = wire.raw(identity, pair=wire.keys.secret("handler/audit"))
    session = victim.session
    for number in range(1, 4):
        thief.send(pack(session, number, encode(plain("ack", "stolen"))))
    assert not [e for e in wire.turn_for(0.7) if isinstance(e, links.Lost)]
    assert wire.listener.send(identity, plain("events", 1))
    wire.until(has(links.Arrived))
    assert thief.poll(0) == 0
    assert victim.send(plain("ack", "mine"))
    wire.until(lambda _: arrived(wire))
    assert [bytes(e.message) for e in arrived(wire)] == [encode(plain("ack", "mine"))]


def test_beats_by_another_key_keep_no_session_alive(make):
    wire = make("worker-0")
    victim = wire.link("handler/alerts")
    wire.until(has(links.Opened))
    thief = wire.raw(victim.beat_identity, pair=wire.keys.secret("handler/audit"))
    thief.send(pack(victim.session[0], 0, encode(plain("beat", 99))))
    wire.until(lambda _: wire.listener.malformed)
    assert wire.listener.peers[0].turns == 0


def test_a_revoked_key_loses_its_session_and_the_others_go_on(make):
    wire = make("worker-0")
    wire.link("handler/alerts")
    wire.until(has(links.Opened))
    kept = wire.link("handler/audit")
    wire.until(has(links.Opened))
    gone = wire.keys.secret("handler/alerts").public
    wire.keys.allow([entry for entry in wire.keys.allowed() if entry.key != gone])
    wire.until(lambda _: any(isinstance(e, listeners.Gone) for e in wire.heard))
    [end] = [e for e in wire.heard if isinstance(e, listeners.Gone)]
    assert (end.peer.name, end.reason) == ("alerts-0", "its key is not allowed any more")
    wire.heard.clear()
    wire.until(lambda _: kept.is_open and kept.send(plain("ack", 1)) and arrived(wire))
    wire.turn_for(0.5)
    assert {e.peer.name for e in arrived(wire)} == {"audit-0"}
    assert [peer.name for peer in wire.listener.peers] == ["audit-0"]


@pytest.mark.parametrize("whose", ["handler/alerts", "worker-0"])
def test_a_key_is_rotated_without_a_stop_on_either_end(make, whose):
    wire = make("worker-0")
    link = wire.link("handler/alerts")
    wire.until(has(links.Opened))
    old, new = wire.keys.secret(whose).public, new_secret()
    wire.keys.allow([*wire.keys.allowed(), Allowed(whose, new.public)])
    wire.turn_for(1.5)
    wire.keys.keep_secret(whose, new)
    wire.turn_for(1.5)
    wire.keys.allow([entry for entry in wire.keys.allowed() if entry.key != old])
    wire.turn_for(1.5)
    wire.heard.clear()
    wire.until(lambda _: link.is_open and link.send(plain("ack", 1)) and arrived(wire))
    assert wire.listener.peers[0].key == wire.keys.secret("handler/alerts").public


def test_who_comes_back_before_its_former_connection_is_known_dead_is_let_in(make):
    """Without hand-over of identities a second connection of one identity gets nothing: it draws another."""
    wire = make("worker-0")
    link = wire.link("handler/alerts")
    wire.until(has(links.Opened))
    former = link.identity.bytes
    # A connection with the same key and identity that never ends, as the kernel holds it after a lost path.
    half_dead = wire.raw(b"alerts-0.00000001", pair=wire.keys.secret("handler/alerts"))
    half_dead.send(b"x")
    wire.until(lambda _: wire.listener.malformed)
    again = wire.link("handler/alerts")
    again.identity = replace(again.identity, nonce="00000001")
    again.socket.disconnect(wire.address)
    again.socket.setsockopt(zmq.IDENTITY, b"alerts-0.00000001")
    again.socket.connect(wire.address)
    wire.until(lambda _: again.is_open, seconds=30)
    assert again.identity.bytes not in (former, b"alerts-0.00000001")
    # It is the same process: its former session does not wait for its silence.
    assert len(wire.listener.peers) == 1


def test_a_key_that_may_read_less_loses_what_it_reads_at_once(make):
    """Its session began when it could read more: it ends, and the next hello is refused."""
    wire = make("worker-0")
    link = wire.link("handler/alerts")
    kept = wire.link("handler/audit")
    wire.until(lambda _: link.is_open and kept.is_open)
    pair = wire.keys.secret("handler/alerts")
    others = [entry for entry in wire.keys.allowed() if entry.key != pair.public]
    wire.keys.allow([*others, Allowed("handler/alerts", pair.public, frozenset({"main/nodes"}))])
    got = wire.until(has(links.Refused))
    assert "its key may not read 'main/pods'" in next(e.reason for e in got if isinstance(e, links.Refused))
    assert [peer.name for peer in wire.listener.peers] == ["audit-0"]
    assert kept.is_open


def test_a_key_that_becomes_another_owners_speaks_for_the_former_one_no_longer(make):
    wire = make("worker-0")
    link = wire.link("handler/alerts")
    wire.until(lambda _: link.is_open)
    pair = wire.keys.secret("handler/alerts")
    others = [entry for entry in wire.keys.allowed() if entry.key != pair.public]
    wire.keys.allow([*others, Allowed("handler/other", pair.public)])
    wire.until(lambda _: not wire.listener.peers)
    wire.until(has(links.Refused))
    assert not wire.listener.peers


@pytest.mark.parametrize("owner", ["handler/alerts", "reflector-0", "worker-0", "fifo", "reader/ann"])
def test_a_key_that_is_no_commands_asks_the_supervisor_for_nothing(tmp_path, owner):
    keys = make_keys(tmp_path, OWNERS)
    address = f"tcp://127.0.0.1:{free_port()}"
    contexts = [keyed_context(keys, who, {address: "control"}) for who in ("control", owner, "cli")]
    asked = []
    control = ControlSocket(
        contexts[0], address, heartbeat_s=2.0, on_ready=lambda *_: None, on_silent=lambda *_: None,
        on_status=lambda *_: None, answer=lambda verb, _: asked.append(verb), clock=SystemClock(),
    )  # fmt: skip
    loop = Loop(SystemClock(), NoBeats())
    control.join(loop)
    kind, _, rest = owner.partition("/")
    names = {owner: (ROLES[kind.partition("-")[0]], f"{rest}-0" if rest else owner), "cli": ("cli", "cli-1")}
    made = [
        links.Link(c, address, new_identity(*names[who]), dict, clock=SystemClock(), silent_s=5.0)
        for c, who in zip(contexts[1:], (owner, "cli"), strict=True)
    ]
    try:
        answers, told = {}, set()
        patience = Patience(20.0)
        while len(answers) < 2:
            assert not patience.is_over(), answers
            loop.turn(wait_s_max=0.01)
            for link in made:
                for event in [*link.tick(), *link.receive()]:
                    if isinstance(event, links.Arrived):
                        answers[link] = take(event.message, Answer)
                if link.is_open and link not in told:
                    told.add(link)
                    link.send(Ask(1, f"kill {link.identity.name}", {}))
            time.sleep(0.002)
        refused, done = answers[made[0]], answers[made[1]]
        assert (refused.ok, done.ok) == (False, True)
        assert "use a key of cli" in refused.body
        assert asked == ["kill cli-1"]
        assert control.rejected == 1
    finally:
        for link in made:
            link.close()
        control.close()
        for context in contexts:
            context.destroy(linger=0)


def test_connections_that_show_no_key_or_speak_nonsense_keep_nobody_out(make):
    wire = make("worker-0")
    place = ("127.0.0.1", int(wire.address.rpartition(":")[2]))
    nonsense = [b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" + bytes(8) + b"\x7f", bytes(5000), b"\x16\x03\x01" * 99]
    strangers = []
    try:
        for number in range(200):
            strangers.append(socket.create_connection(place, timeout=20))
            strangers[-1].sendall(nonsense[number % len(nonsense)])
            wire.turn([])
        link = wire.link("handler/alerts")
        wire.until(lambda _: link.is_open and link.send(plain("ack", 1)) and arrived(wire))
        assert {e.peer.name for e in arrived(wire)} == {"alerts-0"}
        assert wire.listener.malformed == 0
    finally:
        for stranger in strangers:
            stranger.close()
