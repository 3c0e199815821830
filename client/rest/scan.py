"""Where JSON values begin and end, found without decoding them. Pure.

The slow way of all who read what servers send: for values that do not stand alone on their line, and for texts that
msgspec cannot read as a whole. Brackets and strings are followed, nothing else is checked.
"""

import re
from collections.abc import Iterator

BOM = b"\xef\xbb\xbf"

_SPACE = re.compile(rb"[ \t\r\n]*")
_OUTSIDE = re.compile(rb'["{}\[\]]')
_REST_OF_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_PLAIN = re.compile(rb"[^ \t\r\n,\]}]*")
_OPENING = b"{["
# A surrogate's escape: half of a character of UTF-16, which counts only beside its other half.
_SURROGATES = re.compile(
    rb"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_PAIR_BYTES = 12
_REPLACEMENT = rb"\ufffd"


class ValueScanner:
    """Finds the end of one object or list, over any number of pieces. Each byte is looked at once.

    ``depth`` is above 0 after the beginning of a value whose end has not come.
    """

    __slots__ = ("_is_escaped", "_is_in_string", "depth")

    def __init__(self) -> None:
        self.depth = 0
        self._is_in_string = False
        self._is_escaped = False

    def reset(self) -> None:
        self.depth = 0
        self._is_in_string = self._is_escaped = False

    def scan(self, data: bytes, at: int = 0) -> int:
        """The index behind the value's last byte, -1 where it goes on after ``data``.

        The first call begins at the value's opening bracket; the next ones go on where ``data`` ended.
        """
        while True:
            if self._is_in_string:
                if self._is_escaped and at < len(data):
                    at, self._is_escaped = at + 1, False
                end = _REST_OF_STRING.match(data, at)
                if end is None:
                    rest = data[at:]
                    backslashes = len(rest) - len(rest.rstrip(b"\\"))
                    self._is_escaped = self._is_escaped or backslashes % 2 == 1
                    return -1
                at, self._is_in_string = end.end(), False
            found = _OUTSIDE.search(data, at)
            if found is None:
                return -1
            at = found.end()
            mark = found[0]
            if mark == b'"':
                self._is_in_string = True
            elif mark in _OPENING:
                self.depth += 1
            else:
                self.depth -= 1
                if self.depth <= 0:
                    self.reset()
                    return at


def members(text: bytes) -> dict[str, bytes]:
    """The members of one object, their values as they stand. Raises ValueError for what is no object."""
    at = _opened(text, b"{")
    found: dict[str, bytes] = {}
    while text[at : at + 1] != b"}":
        if text[at : at + 1] != b'"':
            raise ValueError(f"no name of a member at byte {at}")
        end = _end_of(text, at)
        name = text[at + 1 : end - 1].decode("utf-8", "replace")
        at = skip_space(text, end)
        if text[at : at + 1] != b":":
            raise ValueError(f"no colon at byte {at}")
        at = skip_space(text, at + 1)
        end = _end_of(text, at)
        found[name] = text[at:end]
        at = _next(text, end)
    return found


def elements(text: bytes) -> Iterator[bytes]:
    """The elements of one list as they stand. Raises ValueError for what is no list."""
    at = _opened(text, b"[")
    while text[at : at + 1] != b"]":
        end = _end_of(text, at)
        yield text[at:end]
        at = _next(text, end)


def mended(text: bytes) -> bytes:
    """``text`` with U+FFFD for what is no character, as in Go: bytes that are not UTF-8, half a surrogate pair."""
    text = as_utf8(text.removeprefix(BOM))
    return _SURROGATES.sub(_whole, text)


def as_utf8(text: bytes) -> bytes:
    """``text`` with U+FFFD for bytes that are not UTF-8; itself where there are none."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode("utf-8", "replace").encode()
    return text


def _whole(found: re.Match[bytes]) -> bytes:
    return found[0] if len(found[2]) == _PAIR_BYTES else found[1] + _REPLACEMENT


def skip_space(text: bytes, at: int = 0) -> int:
    """The index of the first byte from ``at`` on that is no white space."""
    space = _SPACE.match(text, at)
    return space.end() if space is not None else at


def _opened(text: bytes, bracket: bytes) -> int:
    at = skip_space(text, len(BOM) if text.startswith(BOM) else 0)
    if text[at : at + 1] != bracket:
        raise ValueError(f"no {bracket.decode()} at byte {at}")
    return skip_space(text, at + 1)


def _next(text: bytes, at: int) -> int:
    """Behind the comma after a value, or at the closing bracket."""
    at = skip_space(text, at)
    mark = text[at : at + 1]
    if mark == b",":
        return skip_space(text, at + 1)
    if mark not in (b"}", b"]") or not mark:
        raise ValueError(f"neither a comma nor an end at byte {at}")
    return at


def _end_of(text: bytes, at: int) -> int:
    """The index behind the value that begins at ``at``."""
    mark = text[at : at + 1]
    if mark and mark in _OPENING:
        end = ValueScanner().scan(text, at)
    elif mark == b'"':
        rest = _REST_OF_STRING.match(text, at + 1)
        end = rest.end() if rest is not None else -1
    else:
        plain = _PLAIN.match(text, at)
        end = plain.end() if plain is not None and plain.end() > at else -1
    if end < 0:
        raise ValueError(f"no whole value at byte {at}")
    return end
