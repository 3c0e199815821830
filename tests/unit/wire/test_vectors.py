"""The vectors of docs/wire.md, for a second implementation: this one agrees with them.

``tests/vectors/wire/<socket>.json`` lists ``{name, hex, decoded}``; ``{"bin": hex}`` stands for bytes. A vector's
name begins with its kind.
"""

import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from deltawire.cli.supervisor.reports import fault_of
from deltawire.common.errors import ProtocolError
from deltawire.common.wire.codec import Decoder, encode, pack, parts, plain, unpack
from deltawire.common.wire.messages.control import OfRole, ToRole
from deltawire.common.wire.messages.group import FromHandler, HandlerHello, ToHandler
from deltawire.common.wire.messages.shard import FromWorker, ToWorker, WorkerHello
from deltawire.common.wire.messages.stream import FromReflector, ReflectorHello, ToReflector
from deltawire.common.wire.session import message_of, parse_hello

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "tests" / "vectors" / "wire").glob("*.json"))
# Sections of docs/wire.md that list kinds, and the file of each one's vectors.
SECTIONS = {"5": "fifo-in", "6": "fifo-out", "7": "worker", "8": "control"}


def with_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return (
            bytes.fromhex(value["bin"])
            if set(value) == {"bin"}
            else {k: with_bytes(v) for k, v in value.items()}
        )
    return [with_bytes(v) for v in value] if isinstance(value, list) else value


VECTORS = [
    pytest.param(file.stem, vector["hex"], with_bytes(vector["decoded"]), id=f"{file.stem}: {vector['name']}")
    for file in FILES
    for vector in json.loads(file.read_text())
]
BY_NAME = {(p.values[0], str(p.id).partition(": ")[2]): p.values[2] for p in VECTORS}


@pytest.mark.parametrize(("_socket", "packed", "decoded"), VECTORS)
def test_a_vector_is_read_and_written_as_it_stands(_socket, packed, decoded):
    version, session, n, messages = decoded
    assert version == 2
    frame = unpack(bytes.fromhex(packed))
    assert (frame.session, frame.n) == (session, n)
    assert [list(parts(message)) for message in frame.messages] == [[m[0], m[1:]] for m in messages]
    assert pack(session, n, *(encode(plain(*message)) for message in messages)).hex() == packed


def kinds_of(section: str) -> set[str]:
    """The kinds in the tables of a section of docs/wire.md."""
    text = (ROOT / "docs" / "wire.md").read_text()
    found = re.search(rf"^## {section}\. .*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found
    return set(re.findall(r"^\| [^|]+ \| `([a-z]+)` \|", found[0], re.MULTILINE))


@pytest.mark.parametrize("section", SECTIONS)
def test_each_kind_of_the_protocol_has_a_vector(section):
    documented = kinds_of(section)
    assert len(documented) >= 4
    assert documented <= {name.partition(",")[0] for socket, name in BY_NAME if socket == SECTIONS[section]}


@pytest.mark.parametrize("socket", SECTIONS.values())
def test_the_hellos_name_their_peer(socket):
    _, _, _, [hello] = BY_NAME[socket, "hello"]
    message = message_of(unpack(pack(0, 0, encode(plain(*hello)))))
    assert parse_hello(f"{hello[2]}.{hello[3]}".encode(), message) is not None


# The kinds of each socket, one way and the other, beside what belongs to every session.
KINDS: dict[str, list[Any]] = {
    "fifo-in": [FromReflector, ToReflector],
    "fifo-out": [FromWorker, ToWorker],
    "worker": [FromHandler, ToHandler],
    "control": [OfRole, ToRole],
}
OF_SESSIONS = {"hello", "welcome", "beat", "reset", "refuse"}


def test_every_message_has_a_shape_that_is_taken():
    seen: dict[str, set[str]] = {socket: set() for socket in KINDS}
    for (socket, name), (_, _, _, messages) in BY_NAME.items():
        for message in messages:
            if socket in KINDS and message[0] not in OF_SESSIONS:
                both = [kinds for kinds in KINDS[socket] if message[0] in _tags(kinds)]
                assert any(_is_taken(message, kinds) for kinds in both), name
                seen[socket].add(message[0])
    assert seen == {socket: set().union(*map(_tags, KINDS[socket])) for socket in KINDS}


def _tags(kinds: Any) -> set[str]:
    return {str(kind.__struct_config__.tag) for kind in get_args(kinds)}


def _is_taken(message: list[Any], kinds: Any) -> bool:
    try:
        Decoder(kinds)(plain(*message))
    except ProtocolError:
        return False
    return True


def test_hellos_and_a_roles_status_have_the_shapes_that_are_taken():
    hello = {socket: BY_NAME[socket, "hello"][3][0][7] for socket in ("fifo-in", "fifo-out", "worker")}
    for socket, kind in (("fifo-in", ReflectorHello), ("fifo-out", WorkerHello)):
        packed = msgspec.msgpack.encode(hello[socket])
        assert msgspec.msgpack.encode(msgspec.convert(hello[socket], kind)) == packed
    assert msgspec.convert(hello["worker"], HandlerHello).group == "printer"
    assert fault_of(BY_NAME["control", "status"][3][0][1]) is None
