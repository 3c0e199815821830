"""Two real sockets: nothing is lost in silence, no peer is mistaken for another."""

import contextlib
import time

import msgspec
import pytest
import zmq

from deltawire.common.clock import SystemClock
from deltawire.common.errors import ConfigError
from deltawire.common.limits import LINES_MAX, RESETS_MAX
from deltawire.common.wire import bounded_log, codec
from deltawire.common.wire import link as links
from deltawire.common.wire import listener as listeners
from deltawire.common.wire import session as sessions
from deltawire.common.wire.codec import WIRE_VERSION, encode, pack, plain, unpack
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import Identity, is_known_dead, new_identity
from deltawire.common.wire.session import message_of
from deltawire.common.wire.sockets import connect
from tests.support.messages import said
from tests.support.patience import Patience


@pytest.fixture
def context():
    with zmq.Context() as made:
        yield made


@pytest.fixture
def endpoint(tmp_path_factory):
    # pytest's own folders are often longer than the 107 bytes of a unix socket's path.
    import tempfile

    with tempfile.TemporaryDirectory(prefix="dw-") as folder:
        yield f"ipc://{folder}/s"


class Pair:
    """A listener and the links made to it; `until` runs both ends."""

    def __init__(self, context, endpoint, silent_s=5.0, run=""):
        self.context, self.endpoint, self.silent_s = context, endpoint, silent_s
        self.listener = listeners.Listener(context, endpoint, clock=SystemClock(), silent_s=silent_s, run=run)
        self.links = []
        self.heard = []
        self.auto_welcome = True

    def link(self, name="worker-0", nonce=None, run=""):
        me = new_identity("informer", name, run)
        if nonce:
            me = Identity(me.role, name, nonce, me.pid, me.started, me.host)
        made = links.Link(
            self.context,
            self.endpoint,
            me,
            lambda: {"name": name},
            clock=SystemClock(),
            silent_s=self.silent_s,
        )
        self.links.append(made)
        return made

    def turn(self):
        self.listener.tick()
        for event in self.listener.receive():
            self.heard.append(event)
            if isinstance(event, listeners.Hello) and self.auto_welcome:
                self.listener.welcome(event.peer, {"hi": event.peer.name})

    def until(self, wanted, *, seconds=5.0):
        got = []
        patience = Patience(seconds)
        while not patience.is_over():
            self.turn()
            for one in self.links:
                got += [*one.tick(), *one.receive()]
            if wanted(got):
                return got
            time.sleep(0.002)
        raise AssertionError(f"not within {seconds} s; links heard {got}, listener {self.heard}")

    def close(self):
        for one in self.links:
            one.close()
        self.listener.close()


@pytest.fixture
def pair(context, endpoint):
    made = Pair(context, endpoint)
    yield made
    made.close()


def has(kind):
    return lambda events: any(isinstance(e, kind) for e in events)


def test_a_hello_is_answered_and_messages_flow_both_ways(pair):
    link = pair.link()
    events = pair.until(has(links.Opened))
    assert links.Opened({"hi": "worker-0"}) in events
    assert link.send(plain("ack", "dev/pods", 0, "boot", 4))
    assert pair.listener.send(link.identity.bytes, plain("pop", [1]))
    events = pair.until(has(links.Arrived))
    assert ("pop", [[1]]) in [said(e.message) for e in events if isinstance(e, links.Arrived)]
    pair.until(
        lambda _: any(isinstance(e, listeners.Arrived) and said(e.message)[0] == "ack" for e in pair.heard)
    )


def test_nothing_can_be_sent_before_a_session_stands(pair):
    pair.auto_welcome = False
    assert not pair.link().send(plain("ack", 1))


def test_a_new_listener_resets_those_it_does_not_know(pair, context, endpoint):
    link = pair.link()
    pair.until(has(links.Opened))
    pair.listener.close()
    pair.listener = listeners.Listener(context, endpoint, clock=SystemClock(), silent_s=5.0)

    def reset_and_open(got):
        # What is sent while the old connection dies is lost with it: the next one is heard.
        link.send(plain("ack", 1))
        return has(links.Opened)(got) and has(links.Lost)(got)

    events = pair.until(reset_and_open)
    kinds = [type(e) for e in events]
    assert kinds.index(links.Lost) < kinds.index(links.Opened), "what is held must be dropped first"


def test_a_beat_alone_brings_a_session_back_after_the_listener_was_replaced(pair, context, endpoint):
    link = pair.link()
    heartbeat = Heartbeat(context, 0.05)
    heartbeat.watch(link)
    heartbeat.start()
    try:
        pair.until(has(links.Opened))
        pair.listener.close()
        pair.listener = listeners.Listener(context, endpoint, clock=SystemClock(), silent_s=5.0)
        pair.until(lambda got: has(links.Opened)(got) and has(links.Lost)(got))
    finally:
        heartbeat.stop()


def test_a_peer_that_vanished_is_reported_and_not_sent_to_in_silence(pair):
    link = pair.link()
    pair.until(has(links.Opened))
    identity = link.identity.bytes
    pair.links.remove(link)
    link.close()
    patience = Patience(5)
    while pair.listener.send(identity, plain("pop", 1)):
        assert not patience.is_over()
        time.sleep(0.01)
    assert any(isinstance(e, listeners.Gone) for e in pair.listener.receive())


def test_a_process_that_connects_again_is_heard_though_its_old_connection_still_stands(pair):
    # As a listener finds it that was stopped for longer than ZMTP waits.
    pair.link(nonce="5f0c6a1e")
    pair.until(has(links.Opened))
    again = pair.link(nonce="5f0c6a1e")
    pair.until(lambda _: again.is_open)


def test_of_two_hellos_that_wait_the_newest_is_welcomed_and_it_alone(pair, context, endpoint):
    """A listener that stood still finds several hellos of one process, whose first session would be void at once."""
    me = new_identity("informer", "worker-0")
    socket = connect(context, endpoint, me.bytes)
    for number in (1, 2):
        about = (me.role, me.name, me.nonce, me.pid, me.started, me.host, {"number": number})
        socket.send(pack(0, 0, encode(plain("hello", *about))))
    patience = Patience(5)
    while len(pair.heard) < 1:
        assert not patience.is_over()
        time.sleep(0.1)  # for both to have arrived
        pair.turn()
    assert [event.peer.body["number"] for event in pair.heard if isinstance(event, listeners.Hello)] == [2]
    assert socket.poll(5000)
    assert message_of(unpack(socket.recv())).kind == "welcome"
    assert not socket.poll(100)
    socket.close()


def test_a_silent_peer_is_gone_and_hears_that_its_session_is_void(context, endpoint):
    with contextlib.closing(Pair(context, endpoint, silent_s=0.3)) as pair:
        link = pair.link()
        pair.until(has(links.Opened))
        patience = Patience(5)
        while not any(isinstance(e, listeners.Gone) for e in pair.heard):
            assert not patience.is_over()
            pair.turn()
            time.sleep(0.01)
        link.send(plain("ack", 1))
        pair.until(has(links.Lost))


@pytest.mark.parametrize("garbage", [b"", b"\xc1garbage", b"\x91" * 4000, b"x" * 100_000])
def test_garbage_is_counted_and_harms_nobody(pair, context, endpoint, garbage):
    link = pair.link()
    pair.until(has(links.Opened))
    stranger = connect(context, endpoint, b"stranger")
    try:
        stranger.send(garbage)
        pair.until(lambda _: pair.listener.malformed == 1)
    finally:
        stranger.close(linger=0)
    link.send(plain("ack", 1))
    pair.until(lambda _: any(isinstance(e, listeners.Arrived) for e in pair.heard))


def test_a_second_listener_on_the_same_socket_is_refused_with_one_line(pair, context, endpoint):
    with pytest.raises(ConfigError, match="in use by another Deltawire process"):
        listeners.Listener(context, endpoint, clock=SystemClock(), silent_s=1.0)


def test_a_socket_path_that_is_too_long_is_one_clear_line(context, tmp_path):
    with pytest.raises(ConfigError, match="longer than 107 bytes"):
        listeners.Listener(context, f"ipc://{tmp_path}/{'x' * 120}", clock=SystemClock(), silent_s=1.0)


def test_only_a_process_seen_here_is_called_dead():
    me = new_identity("informer", "worker-0")
    assert not is_known_dead(me.pid, me.started, me.host)
    assert is_known_dead(me.pid, me.started - 1, me.host), "the pid was used again"
    assert not is_known_dead(me.pid, me.started - 1, "elsewhere")
    assert not is_known_dead(me.pid, 0, me.host)


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (
            lambda listener, link: listener.reset(peer_of(listener), "a rule was broken"),
            listeners.Ending.RESET,
        ),
        (lambda listener, link: listener.let_go(peer_of(listener), "goodbye"), listeners.Ending.LEFT),
        (lambda listener, link: skip_a_number(link), listeners.Ending.RESET),
        (lambda listener, link: say_hello_again(link), listeners.Ending.AGAIN),
    ],
    ids=["reset", "let-go", "a-gap-in-the-numbers", "hello-again"],
)
def test_how_a_session_ended_is_a_value(pair, end, how):
    link = pair.link()
    pair.until(has(links.Opened))
    end(pair.listener, link)
    pair.until(lambda _: any(isinstance(e, listeners.Gone) for e in pair.heard))
    gone = next(e for e in pair.heard if isinstance(e, listeners.Gone))
    assert gone.how is how


def test_a_vanished_or_silent_peer_is_lost(context, endpoint):
    with contextlib.closing(Pair(context, endpoint, silent_s=0.1)) as pair:
        silent = pair.link()
        pair.until(has(links.Opened))
        pair.links.remove(silent)
        pair.until(lambda _: any(isinstance(e, listeners.Gone) for e in pair.heard))
        silent.close()
        gone = next(e for e in pair.heard if isinstance(e, listeners.Gone))
        assert gone.how is listeners.Ending.LOST


def peer_of(listener):
    (peer,) = listener.peers
    return peer


def skip_a_number(link):
    link.socket.send(pack(link.session[0], 7, encode(plain("ack", 1))))


def say_hello_again(link):
    me = link.identity
    link.socket.send(
        pack(0, 0, encode(plain("hello", me.role, me.name, me.nonce, me.pid, me.started, me.host, {})))
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "is_welcome"),
    [("0011", "0011", True), ("0011", "0022", False), ("0011", "", True), ("", "0011", True), ("", "", True)],
)
def test_a_peer_of_another_run_is_refused_and_where_one_side_has_no_run_nothing_is_compared(
    context, endpoint, ours, theirs, is_welcome
):
    pair = Pair(context, endpoint, run=ours)
    try:
        pair.link(run=theirs)
        events = pair.until(lambda events: has(links.Opened)(events) or has(links.Refused)(events))
        assert has(links.Opened)(events) == is_welcome
        hellos = [e.peer.body for e in pair.heard if isinstance(e, listeners.Hello)]
        assert hellos == ([{"name": "worker-0"}] if is_welcome else []), (
            "the run is no part of the role's own map"
        )
    finally:
        pair.close()


@pytest.fixture
def flooded(context, endpoint, monkeypatch):
    """A pair whose intervals do not end while a test runs, and a stranger's socket."""
    monkeypatch.setattr(listeners, "RESETS_EVERY_S", 3600.0)
    monkeypatch.setattr(bounded_log, "LINES_EVERY_S", 3600.0)
    pair = Pair(context, endpoint)
    socket = connect(context, endpoint, b"stranger.5f0c6a1e")
    yield pair, socket
    socket.close()
    pair.close()


def test_what_is_answered_to_peers_without_a_session_is_bounded_and_the_rest_is_counted(flooded):
    """One reset for each session that a peer names, and so many in all; other peers are served."""
    pair, socket = flooded
    for n in range(3_000):
        socket.send(pack(1, n + 1, encode(plain("mark"))))
    for session in range(2, RESETS_MAX + 502):
        socket.send(pack(session, 1, encode(plain("mark"))))
    link = pair.link()
    pair.until(lambda _: link.is_open and pair.listener.unanswered == 2_999 + 501, seconds=30)
    answers = []
    while socket.poll(200):
        answers.append(message_of(unpack(socket.recv())))
    assert [answer.kind for answer in answers] == ["reset"] * RESETS_MAX
    assert len({answer.session for answer in answers}) == RESETS_MAX


def test_lines_about_broken_rules_are_bounded_and_all_are_counted(flooded, caplog):
    pair, socket = flooded
    for _ in range(LINES_MAX + 500):
        socket.send(b"garbage")
    pair.until(lambda _: pair.listener.malformed == LINES_MAX + 500, seconds=30)
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if "malformed" in line]) == LINES_MAX
    assert len([line for line in lines if "they are counted" in line]) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_whose_heartbeat_has_died_does_not_pass_for_a_live_one(pair, monkeypatch):
    """Its peers get nothing any more, so the parent process gets nothing either, and replaces it."""
    said = []
    heartbeat = Heartbeat(pair.context, 0.01)
    monkeypatch.setattr(heartbeat._beats, "turn", lambda: said.append("turn"))
    heartbeat.show()
    heartbeat.start()
    heartbeat.show()
    assert said == ["turn", "turn"]
    heartbeat.watch(None)
    heartbeat._thread.join(10)
    heartbeat.show()
    assert said == ["turn", "turn"]
    heartbeat.stop()


@pytest.fixture
def newer(context, pair):
    """The socket of a peer of the next version, and what it hears."""
    socket = connect(context, pair.endpoint, b"worker-9.abcd")

    def hears():
        frames = []

        def heard(_):
            while socket.poll(0):
                frames.append(socket.recv())
            return bool(frames)

        pair.until(heard)
        return frames[0]

    yield socket, hears
    socket.close(linger=0)


def hello_of(version):
    body = plain("hello", "informer", "worker-9", "abcd", 1, 0, "", {"later": 1})
    return pack(0, 0, encode(body), version=version)


def test_a_peer_of_a_newer_version_is_refused_in_its_version_and_comes_again_in_ours(pair, newer):
    socket, hears = newer
    socket.send(hello_of(WIRE_VERSION + 1))
    version, _, _, [refusal] = msgspec.msgpack.decode(hears())
    assert version == WIRE_VERSION + 1
    assert refusal[0] == "refuse" and refusal[2] == WIRE_VERSION
    socket.send(hello_of(WIRE_VERSION))
    welcome = unpack(hears())
    assert welcome.version == WIRE_VERSION
    assert message_of(welcome).kind == "welcome"


def test_a_newer_end_speaks_the_version_of_the_hello(pair, newer, monkeypatch):
    monkeypatch.setattr(codec, "VERSIONS_ACCEPTED", frozenset({WIRE_VERSION, WIRE_VERSION + 1}))
    socket, hears = newer
    other = WIRE_VERSION + 1
    socket.send(hello_of(other))
    opened = unpack(hears())
    assert opened.version == other
    [peer] = pair.listener.peers
    pair.listener.send(peer.identity, plain("pop", [1]))
    assert unpack(hears()).version == other
    # Of two beats after a message only the second needs an answer.
    for _ in range(2):
        socket.send(pack(opened.session, 0, encode(plain("beat", 1)), version=other))
    assert unpack(hears()).version == other
    pair.listener.reset(peer, "a test")
    assert unpack(hears()).version == other


def test_a_link_whose_version_is_refused_says_hello_in_the_older_one_at_once(pair, monkeypatch):
    """The link is of the next build: it begins with its own version, and the listener is of this one."""
    monkeypatch.setattr(sessions, "VERSIONS_ACCEPTED", frozenset({WIRE_VERSION, WIRE_VERSION + 1}))
    link = pair.link()
    link._session.version = WIRE_VERSION + 1
    unspoken = []
    # The refusal is in the next version, which only the link's build reads.

    def unpack_any(data):
        unspoken.append(data)
        return msgspec.msgpack.decode(data, type=codec.Frame)

    monkeypatch.setattr(links, "unpack", unpack_any)
    events = pair.until(has(links.Opened))
    assert link.session[1] == WIRE_VERSION
    assert not [event for event in events if isinstance(event, links.Refused)]
    assert len(unspoken) == 2, "the refusal, then the welcome"
