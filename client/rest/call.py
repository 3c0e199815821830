"""One request, ready to be sent, and who can send it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from deltawire.client.rest.result import Result
from deltawire.client.rest.retry import RetryPolicy
from deltawire.client.rest.warnings import WarningHandler
from deltawire.client.rest.watch_stream import WatchStream

Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """``path`` begins with "/" and holds no query. ``read_timeout_s`` bounds silence, None waits for ever.

    ``retry`` and ``on_warning``: None means the client's own.
    """

    method: str
    path: str
    params: Params = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    read_timeout_s: float | None = None
    retry: RetryPolicy | None = None
    on_warning: WarningHandler | None = None


class Executor(Protocol):
    """What a `Request` needs of a client."""

    def execute(self, call: Call) -> Result:
        """The whole answer. Raises StatusError, TransportError."""

    def open_stream(self, call: Call) -> WatchStream:
        """The answer's body as it arrives. Raises StatusError, TransportError."""
