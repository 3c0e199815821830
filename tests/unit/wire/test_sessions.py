"""The session rules of docs/wire.md §3, without sockets."""

import pytest

from deltawire.common.wire.codec import Frame
from deltawire.common.wire.session import (
    Allowance,
    ClientSession,
    Message,
    Peer,
    ServerSessions,
    Session,
    parse_hello,
)


def opened(session: int = 7) -> ClientSession:
    client = ClientSession()
    client.said_hello(0.0)
    assert client.on_message(Message("welcome", session, 0, [{}]), 0.0) == "opened"
    return client


def frame(session: int, n: int) -> Frame:
    return Frame(2, session, n, [])


def served() -> tuple[ServerSessions, Peer]:
    numbers = iter(range(100, 200))
    sessions = ServerSessions(lambda: next(numbers), silent_s=6.0)
    hello = Message("hello", 0, 0, ["informer", "worker-0", "abcd", 1, 2, "", {}])
    peer = parse_hello(b"worker-0.abcd", hello)
    assert peer is not None
    sessions.welcome(peer, 0.0)
    return sessions, peer


def test_hello_is_repeated_until_a_welcome_comes():
    client = ClientSession(hello_every_s=2.0)
    assert client.hello_due(0.0)
    client.said_hello(0.0)
    assert not client.hello_due(1.9)
    assert client.hello_due(2.0)
    client.on_message(Message("welcome", 1, 0, [{}]), 2.1)
    assert not client.hello_due(100.0)


def test_a_welcome_nobody_asked_for_opens_nothing():
    assert ClientSession().on_message(Message("welcome", 1, 0, [{}]), 0.0) == "ignore"


def test_a_second_welcome_voids_the_session():
    client = opened()
    assert client.on_message(Message("welcome", 8, 0, [{}]), 0.0) == "lost"
    assert client.hello_due(0.0)


@pytest.mark.parametrize("n", [0, 2, 3])
def test_a_gap_in_the_numbers_ends_the_session(n):
    client = opened()
    assert not client.is_next(frame(7, n))
    assert client.on_message(Message("events", 7, n, []), 0.0) == "lost"


def test_messages_in_order_are_taken():
    client = opened()
    assert [client.is_next(frame(7, n)) for n in (1, 2, 3)] == [True] * 3


def test_a_message_of_an_older_session_is_ignored():
    client = opened()
    assert not client.is_next(frame(6, 1))
    assert client.on_message(Message("events", 6, 1, []), 0.0) == "ignore"
    assert client.on_message(Message("reset", 6, 0, []), 0.0) == "ignore"
    assert client.is_next(frame(7, 1))


def test_a_refused_peer_is_quiet_for_a_while():
    client = ClientSession(refused_for_s=5.0)
    client.said_hello(0.0)
    assert client.on_message(Message("refuse", 0, 0, ["no"]), 1.0) == "refused"
    assert not client.hello_due(5.9)
    assert client.hello_due(6.0)


@pytest.mark.parametrize(
    "body",
    [
        [],
        ["informer", "worker-0", "abcd", 1, 2, ""],
        ["informer", "worker-0", "abcd", "1", 2, "", {}],
        ["informer", "worker-0", "ffff", 1, 2, "", {}],
        ["informer", "worker-0", "abcd", 1, 2, "", []],
        ["informer", "worker-0", "abcd", True, 2, "", {}],
    ],
)
def test_a_hello_that_breaks_the_rules_names_nobody(body):
    assert parse_hello(b"worker-0.abcd", Message("hello", 0, 0, body)) is None


def test_a_stranger_is_reset():
    sessions, _ = served()
    assert sessions.next_of(b"worker-9.ffff", frame(1, 1), 0.0) is None
    assert sessions.on_message(b"worker-9.ffff", Message("ack", 1, 1, []), 0.0) == "reset"


def test_a_gap_is_reset_and_a_stale_session_ignored():
    sessions, peer = served()
    assert sessions.next_of(peer.identity, frame(99, 1), 0.0) is None
    assert sessions.on_message(peer.identity, Message("ack", 99, 1, []), 0.0) == "ignore"
    assert sessions.next_of(peer.identity, frame(100, 1), 0.0) is peer
    assert sessions.next_of(peer.identity, frame(100, 3), 0.0) is None
    assert sessions.on_message(peer.identity, Message("ack", 100, 3, []), 0.0) == "reset"


def test_a_beat_is_answered_unless_something_was_sent_since_the_last_one():
    sessions, peer = served()
    beat = Message("beat", 100, 0, [1])
    assert sessions.on_message(peer.identity + b"~", beat, 1.0) == "beat"
    peer.open.sent += 1
    assert sessions.on_message(peer.identity + b"~", beat, 5.0) == "ignore"
    assert sessions.silent(10.0) == []
    assert sessions.on_message(peer.identity + b"~", beat, 7.0) == "beat"


def test_a_beat_of_the_second_connection_keeps_the_peer_and_carries_its_turns():
    sessions, peer = served()
    assert sessions.on_message(peer.identity + b"~", Message("beat", 100, 0, [41]), 5.0) == "beat"
    assert peer.turns == 41
    assert sessions.silent(11.0) == []
    assert sessions.silent(11.1) == [peer]


def test_the_two_ends_count_alike():
    counter = Session(5)
    other = Session(5)
    for _ in range(3):
        counter.sent += 1
        assert other.accepts(frame(5, counter.sent))


def test_an_allowance_is_a_number_an_interval_and_each_key_once_in_it() -> None:
    allowance = Allowance(3, every_s=1.0)
    assert [allowance.take(0.0, key) for key in ("a", "a", "b", "c", "d")] == [True, False, True, True, False]
    assert allowance.refused == 2
    assert not allowance.take(0.9, "e")
    assert [allowance.take(1.0, key) for key in ("a", "d", "a", "b")] == [True, True, False, True]
    assert allowance.refused == 4


def test_without_keys_only_the_number_counts() -> None:
    allowance = Allowance(2, every_s=1.0)
    assert [allowance.take(0.0) for _ in range(3)] == [True, True, False]
    assert allowance.take(2.0)
