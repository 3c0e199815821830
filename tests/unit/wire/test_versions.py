"""P10, rolling upgrades: a build and the one before it speak with each other, whichever end is the newer one."""

import json
from pathlib import Path
from typing import Any, get_args

import msgpack
import msgspec
import pytest

from deltawire.common.wire import codec, session
from deltawire.common.wire.codec import VERSIONS_ACCEPTED, WIRE_VERSION, Decoder, plain
from deltawire.common.wire.messages import control, group, shard, stream
from deltawire.common.wire.messages.fields import Message as AnyMessage
from deltawire.common.wire.session import ClientSession, Message, Peer, ServerSessions, parse_hello

VECTORS = Path(__file__).parents[2] / "vectors" / "wire"
KINDS: dict[str, list[Any]] = {
    "fifo-in": [stream.FromReflector, stream.ToReflector],
    "fifo-out": [shard.FromWorker, shard.ToWorker],
    "worker": [group.FromHandler, group.ToHandler],
    "control": [control.OfRole, control.ToRole],
}
OF_SESSIONS = {"hello", "welcome", "beat", "reset", "refuse"}


def messages() -> list[Any]:
    """Each vector of a message with a shape of its own, and the classes of its direction that know its kind."""
    found = []
    for socket, directions in KINDS.items():
        for vector in json.loads((VECTORS / f"{socket}.json").read_text()):
            _, _, _, packed = msgpack.unpackb(bytes.fromhex(vector["hex"]), strict_map_key=False)
            for message in packed:
                classes = [cls for kinds in directions for cls in get_args(kinds) if _tag(cls) == message[0]]
                if message[0] not in OF_SESSIONS:
                    found.append(pytest.param(message, classes, id=f"{socket}: {vector['name']}"))
    return found


def _tag(cls: Any) -> str:
    return str(cls.__struct_config__.tag)


def _taken(message: list[Any], cls: Any) -> Any:
    """The message as one of this class; None where it has another shape (of the other direction)."""
    try:
        return Decoder[Any](cls)(plain(*message))
    except codec.ProtocolError:
        return None


@pytest.mark.parametrize(("message", "classes"), messages())
@pytest.mark.parametrize("more", ["text", 7, None, [1, [2]], {"a": 1}, b"bytes"])
def test_a_field_that_a_newer_peer_appends_is_ignored(
    message: list[Any], classes: list[Any], more: Any
) -> None:
    known = [cls for cls in classes if _taken(message, cls) is not None]
    assert known
    for cls in known:
        defaults = sum(default is not msgspec.NODEFAULT for default in cls.__struct_defaults__)
        whole = message + list(cls.__struct_defaults__)[len(message) - 1 - len(cls.__struct_fields__) :] * (
            len(message) - 1 < len(cls.__struct_fields__)
        )
        assert len(whole) - 1 == len(cls.__struct_fields__), (
            defaults,
            "all fields, then one that is not known",
        )
        assert _taken([*whole, more], cls) == _taken(message, cls)


@pytest.mark.parametrize(("message", "classes"), messages())
def test_a_new_field_that_an_older_peer_does_not_send_has_its_default(
    message: list[Any], classes: list[Any]
) -> None:
    for cls in [cls for cls in classes if _taken(message, cls) is not None]:
        newer = msgspec.defstruct(
            cls.__name__, [("later", str, "default")], bases=(cls,), tag=_tag(cls), array_like=True
        )
        assert _taken(message, newer).later == "default"


def test_every_message_has_such_a_vector() -> None:
    with_vector = {cls for case in messages() for cls in case.values[1]}
    assert with_vector == set(AnyMessage.__subclasses__())


@pytest.mark.parametrize("kind", [group.HandlerHello, shard.WorkerHello, stream.ReflectorHello])
def test_what_a_newer_hello_says_besides_is_ignored(kind: Any) -> None:
    known = {"group": "g", "informers": [], "shards": [], "streams": []}
    assert msgspec.convert({**known, "later": [1]}, kind) == msgspec.convert(known, kind)


# ---- which version is spoken


class Build:
    """One end of a connection, of a build that speaks ``version`` and the one before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
        self.version = version
        self._patch = monkeypatch

    def _be(self) -> None:
        accepted = frozenset({self.version - 1, self.version} - {1})
        for module in (codec, session):
            self._patch.setattr(module, "WIRE_VERSION", self.version)
            self._patch.setattr(module, "VERSIONS_ACCEPTED", accepted)

    def client(self) -> ClientSession:
        self._be()
        return ClientSession(version=self.version)

    def on(self, client: ClientSession, message: Message) -> str:
        self._be()
        return client.on_message(message, 0.0)

    def answers(self, hello: Message) -> tuple[Message, Peer | None]:
        """As a listener does: a welcome in the version of the hello, or a refusal with the own version."""
        self._be()
        if hello.version not in codec.VERSIONS_ACCEPTED:
            return Message("refuse", 0, 0, ["not spoken here", self.version], hello.version), None
        peer = parse_hello(b"r-0.abcd", hello)
        assert peer is not None
        number = ServerSessions(lambda: 7, silent_s=6.0).welcome(peer, 0.0)
        return Message("welcome", number, 0, [{}], peer.version), peer


HELLO = ["reflector", "r-0", "abcd", 1, 2, "", {}]


def spoken(client_build: Build, server: Build) -> int | None:
    """The version of the session that two builds come to; None where there is none after three hellos."""
    client = client_build.client()
    for _ in range(3):
        answer, peer = server.answers(Message("hello", 0, 0, list(HELLO), client.version))
        client.said_hello(0.0)
        if client_build.on(client, answer) == "opened":
            assert client.open is not None and peer is not None and peer.open is not None
            assert client.open.version == peer.open.version
            return client.open.version
    return None


@pytest.mark.parametrize(
    ("client", "server", "expected"),
    [(2, 2, 2), (3, 3, 3), (3, 2, 2), (2, 3, 2), (4, 2, None), (2, 4, None), (4, 3, 3), (3, 4, 3)],
)
def test_both_ends_speak_the_highest_version_that_both_know(
    monkeypatch: pytest.MonkeyPatch, client: int, server: int, expected: int | None
) -> None:
    assert spoken(Build(monkeypatch, client), Build(monkeypatch, server)) == expected


def test_after_a_lost_session_the_own_version_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = Build(monkeypatch, 3)
    client = newer.client()
    client.said_hello(0.0)
    assert newer.on(client, Message("refuse", 0, 0, ["not spoken here", 2], 3)) == "older"
    assert client.hello_due(0.0), "at once"
    client.said_hello(0.0)
    newer.on(client, Message("welcome", 7, 0, [{}], 2))
    assert newer.on(client, Message("reset", 7, 0, [], 2)) == "lost"
    assert client.version == 3


def test_a_refusal_for_another_reason_is_one() -> None:
    for body in (
        ["why"],
        ["why", WIRE_VERSION],
        ["why", WIRE_VERSION + 1],
        ["why", True],
        ["why", "1"],
        ["why", -1],
    ):
        client = ClientSession()
        client.said_hello(0.0)
        assert client.on_message(Message("refuse", 0, 0, body), 0.0) == "refused"
        assert not client.hello_due(1.0)


def test_a_role_speaks_its_own_version_and_the_one_before_from_2_on() -> None:
    assert max(VERSIONS_ACCEPTED) == WIRE_VERSION
    assert {WIRE_VERSION, WIRE_VERSION - 1} - {1} >= VERSIONS_ACCEPTED
