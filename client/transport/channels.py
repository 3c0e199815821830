"""The channel protocols v4 and v5 of exec and attach. Pure.

Each binary message is one byte that names a channel, then data.
"""

import logging

import msgspec

from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.failures import status_of
from deltawire.common.errors import TransportError

log = logging.getLogger(__name__)

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_FROM_SERVER = frozenset({STDOUT, STDERR, ERROR, CLOSE})
EXIT_CODE_MAX = 255
STATUS_BYTES_MAX = 64 * 1024


class _Size(msgspec.Struct, frozen=True, rename="pascal"):
    width: int
    height: int


class _Cause(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct, frozen=True):
    causes: list[_Cause] = []


class _Status(msgspec.Struct, frozen=True):
    status: str = ""
    reason: str = ""
    details: _Details | None = None


def frame(channel: int, data: bytes) -> bytes:
    return bytes((channel,)) + data


def resize(width: int, height: int) -> bytes:
    """The message with the terminal's size, in characters."""
    return frame(RESIZE, msgspec.json.encode(_Size(width, height)))


def close_stdin() -> bytes:
    """The message that ends stdin. Only v5 knows it."""
    return frame(CLOSE, bytes((STDIN,)))


def unframe(message: str | bytes) -> tuple[int, bytes] | None:
    """Channel and data; None for a message without meaning. Raises TransportError for a text message."""
    if isinstance(message, str):
        raise TransportError("the server sent text where only bytes are allowed", reason="garbage")
    if not message:
        return None
    channel = message[0]
    if channel not in _FROM_SERVER:
        log.warning("a message on the unknown channel %d is dropped", channel)
        return None
    return channel, message[1:]


class Ending:
    """What a server's messages say of a program: output, and at last how it ended."""

    def __init__(self) -> None:
        self._status = bytearray()

    @property
    def is_told(self) -> bool:
        return bool(self._status)

    def feed(self, message: str | bytes) -> tuple[int, bytes] | None:
        """STDOUT or STDERR and what to write there, if that is what ``message`` has. Raises TransportError."""
        found = unframe(message)
        if found is None or found[0] == CLOSE:
            return None
        if found[0] != ERROR:
            return found
        self._status += found[1]
        if len(self._status) > STATUS_BYTES_MAX:
            raise TransportError("the command's status does not end", reason="garbage")
        return None

    def exit_code(self) -> int:
        """As `exit_code_of`, of all that was told."""
        return exit_code_of(bytes(self._status))


def exit_code_of(status: bytes) -> int:
    """The program's exit code by what came on the error channel; nothing means success.

    Raises StatusError where the program was not run or not waited for, TransportError for what is no Status.
    """
    if not status:
        return 0
    try:
        found: _Status = decoder_of(_Status)(status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _garbled("no Status in JSON") from None
    if found.status == "Success":
        return 0
    if found.status == "Failure" and found.reason == "NonZeroExitCode":
        causes = found.details.causes if found.details is not None else []
        for cause in causes:
            if cause.reason == "ExitCode":
                if not cause.message.isascii() or not cause.message.isdecimal():
                    raise _garbled("an exit code that is no number")
                code = int(cause.message)
                if code > EXIT_CODE_MAX:
                    raise _garbled(f"an exit code above {EXIT_CODE_MAX}")
                return code
        raise _garbled("a failure without an exit code")
    failure = status_of(status, needs_kind=False)  # kubelets leave it out
    if failure is None or found.status != "Failure":
        raise _garbled(f"a Status that is neither Success nor Failure: {found.status[:40]!r}")
    raise failure


def _garbled(what: str) -> TransportError:
    return TransportError(
        f"the end of the command cannot be read: the error channel brought {what}", reason="garbage"
    )
