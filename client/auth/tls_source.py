"""The TLS context that counts now: made again when the CA, or our certificate, has changed."""

import logging
import ssl
import threading
from dataclasses import dataclass

from deltawire.client.auth.credentials import Credentials
from deltawire.client.auth.tls import Material, material_of, ssl_context_of
from deltawire.client.config.client_config import ClientConfig
from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError, CredentialsError

log = logging.getLogger(__name__)

# How old what was read from a file may be when a connection is wanted. client-go looks
# at certificates in the background each 5 min and again with a cache of 1 s at each handshake; we look with
# each request, which needs no thread and finds a change before the request instead of after it.
CERT_LOOK_S = 1.0
CA_LOOK_S = 300.0


@dataclass(frozen=True, slots=True)
class TlsState:
    """``identity`` rises when our certificate changed: connections made with the old one are to be closed.
    ``trust`` rises when the CA changed: open streams may go on."""

    context: ssl.SSLContext | None
    identity: int = 0
    trust: int = 0


class TlsSource:
    """The context for one configuration. Safe to use from many threads.

    Raises ConfigError when it is made from files that cannot be used. Files that become unusable later
    keep the last context: logged once for each new reason.
    """

    def __init__(self, config: ClientConfig, credentials: Credentials, clock: Clock) -> None:
        self._config = config
        self._credentials = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._material = material_of(config) if config.is_tls else Material()
        self._state = TlsState(ssl_context_of(config, self._material) if config.is_tls else None)
        self._ca_read_at_s = self._cert_read_at_s = clock.now_s()
        self._last_complaint = ""
        self._has_files = config.is_tls and bool(config.ca_file or config.cert_file or config.key_file)

    @property
    def held(self) -> TlsState:
        """What counted last; asks no plug-in and reads no file."""
        return self._state

    def current(self) -> TlsState:
        """Raises CredentialsError where the certificate comes from a plug-in that fails."""
        given = self._credentials.certificate() if self._config.is_tls else None
        if given is None and not self._has_files:
            return self._state
        with self._lock:
            wanted = self._read_locked() if self._has_files else self._material
            if given is None:
                self._change_locked(wanted)
            else:
                self._take_locked(Material(wanted.ca, *given))
            return self._state

    def look_again(self) -> bool:
        """Read the files now, however young what was read is. True if the context is another one now."""
        if not self._has_files:
            return False
        before = self._state
        with self._lock:
            self._ca_read_at_s = self._cert_read_at_s = float("-inf")
        return self.current() is not before

    def _read_locked(self) -> Material:
        """What the files hold, or what they held where they are young enough or cannot be read."""
        config, now_s, held = self._config, self._clock.now_s(), self._material
        is_ca_due = bool(config.ca_file) and now_s - self._ca_read_at_s >= CA_LOOK_S
        is_cert_due = (
            bool(config.cert_file or config.key_file) and now_s - self._cert_read_at_s >= CERT_LOOK_S
        )
        if not is_ca_due and not is_cert_due:
            return held
        try:
            found = material_of(config)
        except ConfigError as error:
            self._complain_locked(str(error))
            found = held
        if is_ca_due:
            self._ca_read_at_s = now_s
        if is_cert_due:
            self._cert_read_at_s = now_s
        return Material(
            found.ca if is_ca_due else held.ca,
            found.cert if is_cert_due else held.cert,
            found.key if is_cert_due else held.key,
        )

    def _take_locked(self, wanted: Material) -> None:
        """With a certificate of the credentials: without it the request would be another user's."""
        self._change_locked(wanted)
        if self._material != wanted:
            wanted = Material(self._material.ca, wanted.cert, wanted.key)  # a new CA may be what is wrong
            self._change_locked(wanted)
        if self._material != wanted:
            raise CredentialsError(f"the client certificate cannot be used: {self._last_complaint}")

    def _change_locked(self, wanted: Material) -> None:
        held = self._material
        if wanted == held:
            return
        try:
            context = ssl_context_of(self._config, wanted)
        except ConfigError as error:
            # Two files are seldom replaced in one moment: the next look finds both.
            self._complain_locked(str(error))
            return
        is_new_identity = (wanted.cert, wanted.key) != (held.cert, held.key)
        self._material = wanted
        self._last_complaint = ""
        self._state = TlsState(
            context, self._state.identity + is_new_identity, self._state.trust + (wanted.ca != held.ca)
        )
        log.info(
            "%s of %s changed", "the client certificate" if is_new_identity else "the CA", self._config.host
        )

    def _complain_locked(self, text: str) -> None:
        if text != self._last_complaint:
            self._last_complaint = text
            log.warning("the last certificates are kept: %s", text)
