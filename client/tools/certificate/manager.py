"""Keeps one certificate good: asks for it, stores it, and asks again in time."""

import logging
import random as _random
import threading
from collections.abc import Callable
from typing import Protocol

from deltawire.client.tools.certificate.key_pair import KeyPair, Template, key_pair, request_for
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError, DeltawireError, StatusError, TransportError

log = logging.getLogger(__name__)

# A certificate is renewed at a random moment of this part of its life, so that a fleet does not ask at once.
ROTATE_FROM, ROTATE_TO = 0.7, 0.9
RETRY_S, RETRY_S_MAX, RETRY_JITTER = 2.0, 32.0, 0.1


class Store(Protocol):
    """What a manager needs of a `FileStore`."""

    def current(self) -> KeyPair | None: ...

    def update(self, cert: bytes, key: bytes) -> KeyPair: ...


class CertificateManager:
    """One certificate for ``template``. `run` in a thread of its own; `current` from any thread.

    ``sign`` gives the certificate for a signing request, both PEM, as `signing.request_certificate` does. A
    failure is tried again after 2 s, 4 s, … 32 s, without end: counted in ``failures``, named by ``last_error``.
    ``is_server_healthy`` is False when the last failure was that the server could not be reached, or was not
    able to answer. ``bootstrap``, a certificate and its key in PEM, is stored and used where nothing is stored yet; a
    certificate of our own is asked for at once all the same. Raises StateError where the store cannot be read at the
    start, or the bootstrap not be stored; ConfigError for a bootstrap that is no pair.
    """

    def __init__(
        self,
        template: Template,
        store: Store,
        sign: Callable[[bytes], bytes],
        *,
        bootstrap: tuple[bytes, bytes] | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._template = template
        self._store = store
        self._sign = sign
        self._clock = clock or SystemClock()
        self._random = random
        self._lock = threading.Lock()
        self._pair = self._stored()
        self._rotate_at_s = self._deadline_s(self._pair)
        if self._pair is None and bootstrap is not None:
            self._pair = store.update(*bootstrap)
        self.failures = 0
        self.rotations = 0
        self.last_error = ""
        self.is_server_healthy = True

    def current(self) -> KeyPair | None:
        """None where there is none, or it has expired."""
        with self._lock:
            pair = self._pair
        return pair if pair is not None and pair.not_after_s > self._clock.wall_s() else None

    @property
    def rotate_at_s(self) -> float:
        """Wall time of the next request; in the past where it is due."""
        with self._lock:
            return self._rotate_at_s

    def run(self, stop: threading.Event) -> None:
        """Rotate whenever it is due, until ``stop`` is set."""
        delay_s = RETRY_S
        while not stop.is_set():
            left_s = self.rotate_at_s - self._clock.wall_s()
            if left_s > 0:
                # At most an hour at once: the wall clock may be set, and sleeps do not notice.
                self._clock.sleep(min(left_s, 3600.0), stop)
                continue
            if self.rotate():
                delay_s = RETRY_S
            else:
                self._clock.sleep(delay_s * (1 + RETRY_JITTER * self._random()), stop)
                delay_s = min(delay_s * 2, RETRY_S_MAX)

    def rotate(self) -> bool:
        """One attempt, now. False where it failed; the old certificate stays in use."""
        key, csr = request_for(self._template)
        try:
            signed = self._sign(csr)
            if not key_pair(signed, key).satisfies(self._template):
                raise ConfigError("the signed certificate does not name what was asked for")
            pair = self._store.update(signed, key)
        except DeltawireError as error:
            self.failures += 1
            self.last_error = str(error)
            self.is_server_healthy = not (
                isinstance(error, TransportError) or (isinstance(error, StatusError) and error.code >= 500)
            )
            log.warning("the certificate of %s is not renewed: %s", self._template.common_name, error)
            return False
        with self._lock:
            self._pair = pair
            self._rotate_at_s = self._deadline_s(pair)
        self.rotations += 1
        self.last_error = ""
        self.is_server_healthy = True
        log.info("the certificate of %s is renewed", self._template.common_name)
        return True

    def _stored(self) -> KeyPair | None:
        try:
            return self._store.current()
        except ConfigError as error:
            log.warning("the stored certificate is not used: %s", error)
            return None

    def _deadline_s(self, pair: KeyPair | None) -> float:
        """When to ask for the next one; long ago where there is none, or it is another's or over."""
        if pair is None or not pair.satisfies(self._template) or pair.not_after_s <= self._clock.wall_s():
            return 0.0
        part = ROTATE_FROM + (ROTATE_TO - ROTATE_FROM) * self._random()
        return pair.not_before_s + (pair.not_after_s - pair.not_before_s) * part
