"""SPDY/3.1 as far as port-forward needs it: streams with headers, data in both directions, ends and pings.

Bytes in, frames out and the other way; no socket. There is no flow control, as in the clients that speak this: who
does not read is noticed by the connection below.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# The largest frame taken (the format's own bound is 16 MiB), and what the headers of one stream may come to.
FRAME_BYTES_MAX = 1 << 20
HEADERS_BYTES_MAX = 16 << 10
# Longer data is sent in several frames.
DATA_BYTES_MAX = 64 << 10

_VERSION = 3
_CONTROL = 0x8000
_FIN = 0x01
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY = 1, 2, 3, 6, 7
_CANCEL = 5

# What both sides' compressors know before the first byte: names and values that are frequent in HTTP.
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_PAIRS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_CODES = (
    *range(100, 102), *range(201, 203), *range(205, 207), 300, *range(302, 308), *range(402, 403), *range(405, 418),
    502, 504, 505,
)  # fmt: skip
_REST = (
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug "
    "Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset="
    "utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    known = b"".join(struct.pack(">I", len(word)) + word.encode() for word in (*_WORDS.split(), *_PAIRS))
    return known + "".join(map(str, _CODES)).encode() + _REST.encode()


DICTIONARY = _dictionary()


class BadFrame(ValueError):
    """Bytes that are no SPDY, or go past a bound."""


class Opened(NamedTuple):
    """A stream that the other side began, with its headers (lower-case names)."""

    stream: int
    headers: dict[str, str]
    is_last: bool


class Data(NamedTuple):
    """``is_last``: that side sends no more on the stream."""

    stream: int
    data: bytes
    is_last: bool


class Reset(NamedTuple):
    stream: int


class Ping(NamedTuple):
    number: int


class GoneAway(NamedTuple):
    """The other side begins no more streams."""


Event = Opened | Data | Reset | Ping | GoneAway


class Reader:
    """Takes the bytes of one connection as they come. Raises BadFrame."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Event]:
        """What became complete with ``data``. Frames that mean nothing here are passed over."""
        self._data += data
        while len(self._data) >= 8:
            first, second, last = struct.unpack(">HHI", self._data[:8])
            flags, length = last >> 24, last & 0xFFFFFF
            if length > FRAME_BYTES_MAX:
                raise BadFrame(f"a frame of {length} bytes")
            if len(self._data) < 8 + length:
                return
            body = bytes(self._data[8 : 8 + length])
            del self._data[: 8 + length]
            if not first & _CONTROL:
                yield Data(first << 16 | second, body, bool(flags & _FIN))
                continue
            if first & ~_CONTROL != _VERSION:
                raise BadFrame(f"version {first & ~_CONTROL}")
            event = self._control(second, flags, body)
            if event is not None:
                yield event

    def _control(self, kind: int, flags: int, body: bytes) -> Event | None:
        try:
            if kind == _SYN_STREAM:
                return Opened(_id(body), self._headers(body[10:]), bool(flags & _FIN))
            if kind == _SYN_REPLY:
                self._headers(body[4:])  # read for the sake of the compressor's state
            elif kind == _RST_STREAM:
                return Reset(_id(body))
            elif kind == _PING:
                return Ping(struct.unpack(">I", body)[0])
            elif kind == _GOAWAY:
                return GoneAway()
        except (struct.error, zlib.error, IndexError, UnicodeDecodeError) as error:
            raise BadFrame(f"a frame of type {kind} that cannot be read: {error}") from None
        return None

    def _headers(self, block: bytes) -> dict[str, str]:
        raw = self._inflate.decompress(block, HEADERS_BYTES_MAX)
        if self._inflate.unconsumed_tail:
            raise BadFrame(f"headers of more than {HEADERS_BYTES_MAX} bytes")
        (count,), at = struct.unpack_from(">I", raw), 4
        texts = []
        for _ in range(2 * count):
            (length,) = struct.unpack_from(">I", raw, at)
            text = raw[at + 4 : at + 4 + length]
            if len(text) < length:
                raise BadFrame("headers that break off")
            texts.append(text.decode())
            at += 4 + length
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}


class Writer:
    """Makes the frames of one connection, which must be sent in the order in which they were made."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def opened(self, stream: int, headers: Mapping[str, str]) -> bytes:
        """Begin a stream; what a client sends."""
        return _frame(_SYN_STREAM, 0, struct.pack(">IIH", stream, 0, 0) + self._block(headers))

    def reply(self, stream: int) -> bytes:
        """Accept a stream of the other side."""
        return _frame(_SYN_REPLY, 0, struct.pack(">I", stream) + self._block({}))

    def data(self, stream: int, data: bytes, *, is_last: bool = False) -> Iterator[bytes]:
        for start in range(0, max(len(data), 1), DATA_BYTES_MAX):
            piece = data[start : start + DATA_BYTES_MAX]
            ends = is_last and start + DATA_BYTES_MAX >= len(data)
            yield struct.pack(">II", stream, (_FIN if ends else 0) << 24 | len(piece)) + piece

    def reset(self, stream: int) -> bytes:
        return _frame(_RST_STREAM, 0, struct.pack(">II", stream, _CANCEL))

    def ping(self, number: int) -> bytes:
        return _frame(_PING, 0, struct.pack(">I", number))

    def _block(self, headers: Mapping[str, str]) -> bytes:
        raw = struct.pack(">I", len(headers))
        for text in (text.encode() for pair in headers.items() for text in pair):
            raw += struct.pack(">I", len(text)) + text
        return self._deflate.compress(raw) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _frame(kind: int, flags: int, body: bytes) -> bytes:
    return struct.pack(">HHI", _CONTROL | _VERSION, kind, flags << 24 | len(body)) + body


def _id(body: bytes) -> int:
    number: int = struct.unpack_from(">I", body)[0]
    return number & 0x7FFFFFFF
