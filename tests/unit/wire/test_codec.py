"""Messages are checked before they are sent and before they are believed."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltawire.common.errors import CapacityError, ProtocolError
from deltawire.common.limits import MESSAGE_BYTES_MAX
from deltawire.common.wire.codec import Message, pack, unpack


def test_a_message_comes_back_as_it_was():
    data = pack("pop", 12, 3, "dev/pods", 0, [["a", "b", [[1, "U", "*", b"{}"]]]])
    assert unpack(data) == Message("pop", 12, 3, ["dev/pods", 0, [["a", "b", [[1, "U", "*", b"{}"]]]]])


def test_a_message_over_the_bound_is_refused_by_the_sender():
    with pytest.raises(CapacityError, match="over the limit"):
        pack("deltas", 1, 1, [b"x" * (6 * 1024 * 1024)] * 3)


def test_a_message_over_the_bound_is_refused_by_the_receiver():
    with pytest.raises(ProtocolError, match="over the limit"):
        unpack(b"x" * (MESSAGE_BYTES_MAX + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xc1",
        msgpack.packb({"a": 1}),
        msgpack.packb([1, "pop", 1]),
        msgpack.packb([2, "pop", 1, 1]),
        msgpack.packb([True, "pop", 1, True]),
        msgpack.packb([True, "pop", 1, 1]),
        msgpack.packb([[1], "pop", 1, 1]),
        msgpack.packb([{}, "pop", 1, 1]),
        msgpack.packb([1, b"pop", 1, 1]),
        msgpack.packb([1, "pop", "1", 1]),
        msgpack.packb([1, "pop", 1, 1, "x" * 5000]),
        msgpack.packb([1, "pop", 1, 1, msgpack.ExtType(4, b"xx")]),
        msgpack.packb([1, "pop", 1, 1]) + b"\x00",
        pack("pop", 1, 1, ["x"] * 50)[:-3],
        b"\x91" * 5000,
    ],
)
def test_what_is_not_a_message_is_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        unpack(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    try:
        unpack(data)
    except ProtocolError:
        pass
