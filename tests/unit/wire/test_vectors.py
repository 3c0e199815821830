"""The vectors of docs/wire.md, for whoever writes a second implementation: this one agrees with them.

``tests/vectors/wire/<socket>.json`` lists ``{name, hex, decoded}``; ``{"bin": hex}`` stands for bytes. A vector's
name begins with its kind.
"""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deltawire.cli.supervisor.reports import fault_of
from deltawire.common.wire.codec import pack, unpack
from deltawire.common.wire.session import parse_hello
from deltawire.fifo import messages as fifo_messages
from deltawire.informer.handlers_link import HandlerHello
from deltawire.reflector.messages import from_broker

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
    version, kind, session, n, *body = decoded
    assert version == 1
    message = unpack(bytes.fromhex(packed))
    assert (message.kind, message.session, message.n, message.body) == (kind, session, n, body)
    assert pack(kind, session, n, *body).hex() == packed


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
    decoded = BY_NAME[socket, "hello"]
    message = unpack(pack(*decoded[1:]))
    assert parse_hello(f"{decoded[5]}.{decoded[6]}".encode(), message) is not None


def test_what_is_sent_to_the_broker_has_the_shapes_it_takes():
    for (socket, name), (_, kind, _, _, *body) in BY_NAME.items():
        if (socket, kind) in {("fifo-in", k) for k in ("cluster", "begin", "deltas", "mark", "end")}:
            assert fifo_messages.from_reflector(kind, body), name
        elif (socket, kind) in {("fifo-out", k) for k in ("shard", "failed", "ack")}:
            assert fifo_messages.from_worker(kind, body), name
        elif (socket, kind) in {("fifo-in", k) for k in ("start", "stop", "credit")}:
            assert from_broker(kind, body), name
    assert fifo_messages.hello_streams(BY_NAME["fifo-in", "hello"][10])
    assert fifo_messages.hello_shards(BY_NAME["fifo-out", "hello"][10])


def test_a_handlers_hello_and_a_roles_status_have_the_shapes_that_are_taken():
    assert msgspec.convert(BY_NAME["worker", "hello"][10], HandlerHello).group == "printer"
    assert fault_of(BY_NAME["control", "status"][4]) is None
