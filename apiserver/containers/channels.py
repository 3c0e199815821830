"""The channel protocols of exec, attach and port-forward (v5, v4, and the first), seen from the server. Pure.

Each message is one byte that names a channel, then data. The last word of exec and attach is a Status on the
error channel; in the first protocol it is a text, and nothing where all went well. v5 differs from v4 in one thing: the
client can end its input.
"""

import re
from typing import NamedTuple

import msgspec

from deltawire.common.errors import StatusError

V5, V4, V1 = "v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
# Bytes of output in one message; a larger piece is sent in several.
DATA_BYTES_MAX = 32 << 10
CELLS_MAX = 65535

_ports = re.compile(r"[0-9]{1,5}")


class TerminalSize(NamedTuple):
    """In characters."""

    width: int
    height: int


class _Size(msgspec.Struct, frozen=True, rename="pascal"):
    width: int
    height: int


# Made here, and not by the first requests that need it at once: msgspec crashes where two threads learn a class.
_size = msgspec.json.Decoder(_Size).decode


def frames(channel: int, data: bytes) -> list[bytes]:
    """The messages that carry ``data``; none for nothing."""
    head = bytes((channel,))
    return [head + data[i : i + DATA_BYTES_MAX] for i in range(0, len(data), DATA_BYTES_MAX)]


def unframe(message: bytes | str) -> tuple[int, bytes] | None:
    """Channel and data; None for an empty message. The official Python client sends what it types as text."""
    raw = message.encode() if isinstance(message, str) else message
    return (raw[0], raw[1:]) if raw else None


def size_of(data: bytes) -> TerminalSize | None:
    """The terminal's size that came on the resize channel; None for what is none."""
    try:
        size = _size(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not (0 < size.width <= CELLS_MAX and 0 < size.height <= CELLS_MAX):
        return None
    return TerminalSize(size.width, size.height)


def exit_status(exit_code: int) -> bytes:
    """The message with the program's exit code."""
    if exit_code == 0:
        return _status({"status": "Success"})
    return _status(
        {
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {exit_code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(exit_code)}]},
        }
    )


def first_form(status: bytes) -> bytes:
    """The last word as the first protocol has it; b"" for none."""
    content = msgspec.json.decode(status[1:])
    return b"" if content["status"] == "Success" else status[:1] + str(content["message"]).encode()


def failure_status(error: StatusError) -> bytes:
    """The message with the reason why no program ran."""
    told: dict[str, object] = {
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "code": error.code,
    }
    if error.details:
        told["details"] = error.details
    return _status(told)


def port_head(channel: int, port: int) -> bytes:
    """The first message on each channel of a port: its number."""
    return bytes((channel,)) + port.to_bytes(2, "little")


def parse_ports(values: list[str]) -> list[int]:
    """Port numbers of ``?ports=80&ports=81,82``. Raises ValueError with what is wrong."""
    if not values:
        raise ValueError('query parameter "ports" is required')
    found = []
    for text in ",".join(values).split(","):
        if not _ports.fullmatch(text) or not 0 < int(text) <= 65535:
            raise ValueError(f"unable to parse {text!r} as a port")
        found.append(int(text))
    return found


def _status(content: dict[str, object]) -> bytes:
    return bytes((ERROR,)) + msgspec.json.encode({"metadata": {}, **content})
