"""Messages are checked before they are sent and before they are believed."""

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltawire.common.errors import CapacityError, ProtocolError
from deltawire.common.limits import ARRAY_ITEMS_MAX, MESSAGE_BYTES_MAX, OBJECT_BYTES_MAX
from deltawire.common.wire.codec import FRAME_HEAD_BYTES, Decoder, encode, pack, parts, plain, take, unpack
from deltawire.common.wire.messages.control import Answer, Ask
from deltawire.common.wire.messages.shard import Ack, Failed, FromWorker
from deltawire.common.wire.messages.stream import Deltas, FromReflector

FROM_WORKER: Decoder[FromWorker] = Decoder(FromWorker)
FROM_REFLECTOR: Decoder[FromReflector] = Decoder(FromReflector)


def test_messages_come_back_as_they_were_in_one_frame():
    messages = [Ack("dev/pods", 0, "b1", 7), Failed("dev/pods", 1, "full")]
    frame = unpack(pack(12, 3, *map(encode, messages)))
    assert (frame.session, frame.n) == (12, 3)
    assert [FROM_WORKER(message) for message in frame.messages] == messages


def test_a_message_over_the_bound_is_refused_by_the_sender():
    with pytest.raises(CapacityError, match="over the limit"):
        encode(plain("deltas", [b"x" * (6 * 1024 * 1024)] * 3))


def test_a_message_at_the_bound_travels():
    alone = encode(plain("x", b"x" * (MESSAGE_BYTES_MAX - 8)))
    assert len(alone) == MESSAGE_BYTES_MAX
    assert unpack(pack(2**63, 2**63, alone)).messages


def test_a_message_over_the_bound_is_refused_by_the_receiver():
    with pytest.raises(ProtocolError, match="over the limit"):
        unpack(b"x" * (MESSAGE_BYTES_MAX + FRAME_HEAD_BYTES + 1))


MARK = ["mark", "dev/pods", "*", "7"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xc1",
        msgpack.packb({"a": 1}),
        msgpack.packb([2, 1, 1]),
        msgpack.packb([2, 1, 1, []]),
        msgpack.packb([2, 1, 1, MARK]) + b"\x00",
        msgpack.packb([2, 1, 1, [MARK], 1]),
        msgpack.packb([2, 1, 1, "pop"]),
        msgpack.packb([True, 1, 1, [MARK]]),
        msgpack.packb([[2], 1, 1, [MARK]]),
        msgpack.packb([{}, 1, 1, [MARK]]),
        msgpack.packb([2, "1", 1, [MARK]]),
        msgpack.packb([2, 1, None, [MARK]]),
        pack(1, 1, encode(plain("pop", ["x"] * 50)))[:-3],
        msgpack.packb([2, 1, 1, [0] * (ARRAY_ITEMS_MAX + 1)]),
        b"\x91" * 5000,
    ],
)
def test_what_is_not_a_frame_is_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        unpack(data)


@pytest.mark.parametrize("version", [0, 1, 3, 2**40])
def test_another_version_is_named_whatever_its_frames_look_like(version):
    for rest in ([1, 1, [MARK]], ["pop", 1, 1, "dev/pods"]):
        with pytest.raises(ProtocolError, match=f"wire version {version} is not spoken here \\(mine is 2\\)"):
            unpack(msgpack.packb([version, *rest]))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["unknown"],
        ["ack", "dev/pods", 0, "b"],
        ["ack", "dev/pods", 0, "b", -1],
        ["ack", "dev/pods", 0, "b", 2**63],
        ["ack", "x" * 5000, 0, "b", 1],
        ["ack", b"dev/pods", 0, "b", 1],
        ["failed", "dev/pods", 0, msgpack.ExtType(4, b"xx")],
        ["mark", "dev/pods", "*", "7"],
    ],
)
def test_a_message_of_another_shape_is_a_protocol_error(fields):
    with pytest.raises(ProtocolError):
        FROM_WORKER(msgspec.Raw(msgpack.packb(fields)))


def test_bounds_of_fields_are_checked():
    row = ["A", "ns", "n", "u", "1", b"{}"]
    assert isinstance(FROM_REFLECTOR(plain("deltas", "dev/pods", "*", "7", 0, [row])), Deltas)
    for rows in (
        [row] * (ARRAY_ITEMS_MAX + 1),
        [[*row[:5], b"x" * (OBJECT_BYTES_MAX + 1)]],
        [["Q", *row[1:]]],
    ):
        with pytest.raises(ProtocolError):
            FROM_REFLECTOR(plain("deltas", "dev/pods", "*", "7", 0, rows))


def test_fields_of_any_shape_are_bounded_too():
    assert take(plain("ask", 1, "status", {"a": [1, {"b": None}]}), Ask | Answer) == Ask(
        1, "status", {"a": [1, {"b": None}]}
    )
    for body in ([0] * (ARRAY_ITEMS_MAX + 1), "x" * 5000, msgpack.ExtType(4, b"xx")):
        with pytest.raises(ProtocolError):
            take(msgspec.Raw(msgpack.packb(["answer", 1, True, body])), Ask | Answer)
    with pytest.raises(ProtocolError):
        take(plain("ask", 1, "status", []), Ask | Answer)
    with pytest.raises(ProtocolError):
        parts(msgspec.Raw(msgpack.packb("ask")))


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    try:
        unpack(data)
    except ProtocolError:
        pass
    for read in (FROM_WORKER, FROM_REFLECTOR, parts, lambda raw: take(raw, Ask | Answer)):
        try:
            read(msgspec.Raw(data))
        except ProtocolError:
            pass
