from collections.abc import Iterator
from typing import Any

import pytest

from deltawire.client.transport import logs
from deltawire.client.transport.logs import LogLines


class FakeStream:
    def __init__(self, *chunks: bytes) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self.closed = 0

    def read(self) -> bytes:
        return next(self._chunks, b"")

    def close(self) -> None:
        self.closed += 1


class FakeRequest:
    def __init__(self, *chunks: bytes) -> None:
        self.opened = FakeStream(*chunks)

    def stream(self) -> Any:
        return self.opened


def lines(*chunks: bytes) -> list[bytes]:
    request: Any = FakeRequest(*chunks)
    found = list(LogLines(request))
    assert request.opened.closed == 1
    return found


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ((), []),
        ((b"a\nb\n",), [b"a", b"b"]),
        ((b"a", b"b\nc", b"\n"), [b"ab", b"c"]),
        ((b"a\n\nb",), [b"a", b"", b"b"]),
        ((b"\xff\n",), [b"\xff"]),
    ],
)
def test_lines_come_whole_however_they_arrive(chunks: tuple[bytes, ...], found: list[bytes]):
    assert lines(*chunks) == found


def test_a_line_without_end_comes_in_pieces(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "LINE_BYTES_MAX", 4)
    assert lines(b"abcdef", b"ghij", b"k\nx\n") == [b"abcd", b"efgh", b"ijk", b"x"]


def test_the_connection_is_closed_when_the_reader_leaves():
    request: Any = FakeRequest(b"a\nb\n")
    with LogLines(request) as log:
        assert next(iter(log)) == b"a"
    assert request.opened.closed >= 1
