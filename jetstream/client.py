"""nats-py's client, which goes on whatever a server says. Import it only where a connection is opened."""

import asyncio
from typing import Any

import nats.aio.client
from nats.errors import Error, MaxPayloadError

from deltawire.jetstream.settings import NatsSettings, without_password

_LIKE_NETWORK = (OSError, Error, TimeoutError)
# Servers say how large a message may be when a connection begins, and not when that is changed: after one that was too
# large another connection is made, so often at most.
LEARN_EVERY_S = 10.0


class TooLargeError(Error):
    """A message that the server does not take; the text says what to do."""


class Client(nats.aio.client.Client):
    """It differs from nats-py's where that one gives up, or gives away more than it was asked to:

    - An error of the server (a user whose rights ended, too many connections) closes the connection, and another one
      is tried; nats-py's client would stay closed. Permissions that lack close nothing.
    - What cannot be read (a broken file of credentials, a server that is no NATS) fails an attempt, not all later ones.
    - Where the config asks for TLS, a server without it is told nothing: nats-py would send the password in the clear.
    - Certificates are read again for each attempt, so that renewed ones are taken.
    - A message that is too large is refused with its size and what to do, and a bound that was raised is learnt.
    """

    def __init__(self, settings: NatsSettings) -> None:
        super().__init__()
        self._settings = settings
        # The server that was tried last, "" before.
        self.tried = ""
        self._learnt_s = float("-inf")

    async def publish(self, subject: str, payload: bytes = b"", *args: Any, **kwargs: Any) -> None:
        try:
            await super().publish(subject, payload, *args, **kwargs)
        except MaxPayloadError:
            taken = self.max_payload
            await self.learn_anew()
            raise TooLargeError(
                f"{self.tried} takes messages of {taken} bytes, and this one has {len(payload)}: "
                "set max_payload: 16MB in the servers' config"
            ) from None

    async def learn_anew(self) -> None:
        """Make another connection for what servers say of themselves, if none was made for that within
        `LEARN_EVERY_S`."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._learnt_s >= LEARN_EVERY_S:
            self._learnt_s = now_s
            await self.force_reconnect()

    async def _connect_to_server(self, s: Any) -> None:
        self.tried = without_password(s.uri.geturl())
        if self._settings.credentials:
            # Else it logs in with them only where a URL has a password, too.
            self._auth_configured = True
        context = self._settings.tls()
        if context is not None:
            self.options["tls"] = context
        await super()._connect_to_server(s)

    async def _process_connect_init(self) -> None:
        if self._current_server is not None:
            self.tried = without_password(self._current_server.uri.geturl())
        try:
            await super()._process_connect_init()
        except _LIKE_NETWORK:
            self._leave()
            raise
        except Exception as error:
            self._leave()
            raise Error(f"not understood: {type(error).__name__}: {error}") from error

    def _leave(self) -> None:
        """Close what a failed attempt has opened: the next one begins with another socket."""
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self._settings.wants_tls and not info.get("tls_required"):
            raise Error("the server has no TLS, which the config asks for (tls://, ca or cert)")
        await super()._process_info(info, initial_connection)

    async def _process_err(self, err_msg: str) -> None:
        error = Error(f"nats: {err_msg.strip(chr(39))}")
        await self._error_cb(error)
        if "permissions violation" not in err_msg.lower():
            await self._process_op_err(error)
