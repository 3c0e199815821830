"""SPDY as port-forward speaks it: frames in pieces, headers that share a compressor, bounds."""

import struct
import zlib

import pytest

from deltawire.apiserver.containers import spdy
from deltawire.apiserver.containers.spdy import BadFrame, Data, GoneAway, Opened, Ping, Reader, Reset, Writer

# What its format says of the words that both compressors begin with.
DICTIONARY_ADLER32 = 0xE3C6A7C2


def read(*frames: bytes, piece: int = 1 << 20) -> list[spdy.Event]:
    reader, data = Reader(), b"".join(frames)
    pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
    return [event for each in pieces for event in reader.feed(each)]


def test_the_words_known_beforehand_are_those_of_the_format() -> None:
    assert zlib.adler32(spdy.DICTIONARY) == DICTIONARY_ADLER32


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_what_is_written_is_read_again_in_any_pieces(piece: int) -> None:
    writer = Writer()
    frames = [
        writer.opened(1, {"streamtype": "error", "port": "80"}),
        writer.opened(3, {"streamtype": "data", "port": "80"}),
        writer.reply(3),
        *writer.data(3, b"hello"),
        *writer.data(3, b"", is_last=True),
        writer.ping(7),
        writer.reset(1),
    ]
    assert read(*frames, piece=piece) == [
        Opened(1, {"streamtype": "error", "port": "80"}, False),
        Opened(3, {"streamtype": "data", "port": "80"}, False),
        Data(3, b"hello", False),
        Data(3, b"", True),
        Ping(7),
        Reset(1),
    ]


def test_long_data_goes_in_several_frames_of_which_the_last_says_so() -> None:
    data = bytes(spdy.DATA_BYTES_MAX) + b"x"
    events = read(*Writer().data(1, data, is_last=True))
    assert [(len(event.data), event.is_last) for event in events if isinstance(event, Data)] == [
        (spdy.DATA_BYTES_MAX, False),
        (1, True),
    ]


def test_frames_of_other_kinds_are_passed_over_and_a_goodbye_is_told() -> None:
    settings = struct.pack(">HHI", 0x8003, 4, 4) + bytes(4)
    goodbye = struct.pack(">HHI", 0x8003, 7, 8) + bytes(8)
    assert read(settings, goodbye) == [GoneAway()]


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">HHI", 0x8002, 1, 0),
        struct.pack(">HHI", 0x8003, 1, spdy.FRAME_BYTES_MAX + 1),
        struct.pack(">HHI", 0x8003, 1, 14) + bytes(14),
        struct.pack(">HHI", 0x8003, 6, 1) + b"x",
        Writer().opened(1, {"a": "x" * (spdy.HEADERS_BYTES_MAX + 1)}),
    ],
)
def test_what_is_no_frame_or_goes_past_a_bound_is_refused(frame: bytes) -> None:
    with pytest.raises(BadFrame):
        read(frame)
