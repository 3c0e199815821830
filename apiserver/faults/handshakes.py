"""Faults of TLS: handshakes that fail, and certificates that no client should accept."""

import ssl
from collections.abc import Iterable
from typing import Protocol

from deltawire.apiserver.faults.fault import CONNECTION_FAULTS, TLS_EXPIRED, TLS_REFUSED, Came
from deltawire.apiserver.faults.plan import FaultPlan

_KINDS = tuple(CONNECTION_FAULTS)
_NOBODY = Came("", "")


class Forger(Protocol):
    """Makes the certificates to be refused."""

    def false_context(self, hosts: Iterable[str], *, expired: bool) -> ssl.SSLContext: ...


class Handshakes:
    """Called by the TLS library for each new connection, in the server's thread."""

    def __init__(self, plan: FaultPlan, forger: Forger, hosts: Iterable[str]) -> None:
        self._plan = plan
        self._forger = forger
        self._hosts = tuple(hosts)
        self._contexts: dict[str, ssl.SSLContext] = {}

    def __call__(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> int | None:
        """An alert, with which the handshake breaks off; None to go on, with the certificate that was chosen."""
        if not self._plan.faults:
            return None
        for fault in self._plan.take(_KINDS, _NOBODY):
            if fault.kind == TLS_REFUSED:
                return int(ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE)
            if fault.kind not in self._contexts:
                self._contexts[fault.kind] = self._forger.false_context(
                    self._hosts, expired=fault.kind == TLS_EXPIRED
                )
            connection.context = self._contexts[fault.kind]
        return None
