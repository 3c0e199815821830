"""What another protocol than plain HTTP needs to reach the same server as the same user."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Upgrade:
    """One handshake. ``url`` begins with ws or wss; ``headers`` hold credentials, so there is no repr.

    ``server_name`` "" means the URL's own. ``origin`` and ``path`` are for messages.
    """

    url: str
    origin: str
    path: str
    headers: tuple[tuple[str, str], ...]
    context: ssl.SSLContext | None
    server_name: str
    proxy: str
    connect_timeout_s: float
