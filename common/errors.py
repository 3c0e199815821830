"""The one error tree. Foreign exceptions do not cross a package's border: they become one of these.

    DeltawireError
    ├── ConfigError            fatal, exit 2   config, flag, manifest; carries the field's path
    ├── StateError             fatal, exit 2   state folder not ours, in use, of another schema
    ├── PluginError            fatal, exit 2   a handler file that cannot be loaded
    ├── StatusError            by code         the API server answered with a Status
    ├── TransportError         retryable       no answer: refused, reset, TLS, time-out
    ├── CredentialsError       retryable       a plug-in or an identity provider gave no credentials
    ├── WaitError              by caller       what was waited for did not come: time-out, or the watch ended
    ├── ProtocolError          fatal for the peer   a message that breaks docs/wire.md
    └── CapacityError          fatal for one informer   a stated bound was reached

``retryable`` says whether trying the same again later can help. ``hint`` says what to do.
"""

from typing import Any


class DeltawireError(Exception):
    """Root of the tree. ``str()`` is one line: what, where and, if known, what to do."""

    retryable = False
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(DeltawireError):
    """Bad config, flag or manifest. ``path`` is the field, as in ``informers[0].resource``."""

    exit_code = 2

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message, hint=hint)
        self.path = path


class StateError(DeltawireError):
    """The state folder cannot be used: not ours, in use, another schema."""

    exit_code = 2


class PluginError(DeltawireError):
    """A handler file that cannot be loaded or breaks the plug-in contract."""

    exit_code = 2


class TransportError(DeltawireError):
    """The API server (or a peer) gave no answer.

    ``reason`` is one of ``refused``, ``reset``, ``timeout``, ``tls``, ``dns``, ``unreachable``, ``proxy``,
    ``garbage`` (an answer that cannot be read), or "" where it is none of these.
    """

    retryable = True

    def __init__(self, message: str, *, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class CredentialsError(DeltawireError):
    """The credentials could not be obtained: an exec plug-in failed, an identity provider refused.

    Retryable: the next attempt asks again.
    """

    retryable = True


class WaitError(DeltawireError):
    """A wait ended without what was waited for. ``reason`` is ``timeout``, ``closed`` or ``stopped``."""

    def __init__(self, message: str, *, reason: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class ProtocolError(DeltawireError):
    """A peer sent what docs/wire.md does not allow."""


class CapacityError(DeltawireError):
    """A stated bound was reached and nothing can be given up any more."""


class StatusError(DeltawireError):
    """The API server's answer was a Status of failure.

    ``code`` is HTTP's, ``reason`` Kubernetes' (``NotFound``, ``Conflict``, ``Expired``, …), ``details``
    the Status' own, ``retry_after_s`` from the header or the details, None where none was given.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        retry_after_s: float | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.reason = reason
        self.details = details or {}
        self.retry_after_s = retry_after_s

    @property
    def retryable(self) -> bool:  # type: ignore[override]  # a class attribute elsewhere, decided here
        return self.code == 429 or self.code >= 500

    @property
    def is_not_found(self) -> bool:
        return self.reason == "NotFound" or (not self.reason and self.code == 404)

    @property
    def is_conflict(self) -> bool:
        return self.reason == "Conflict"

    @property
    def is_already_exists(self) -> bool:
        return self.reason == "AlreadyExists"

    @property
    def is_expired(self) -> bool:
        """410: the version asked for is no longer kept."""
        return self.reason in ("Expired", "Gone") or (not self.reason and self.code == 410)

    @property
    def is_too_large_version(self) -> bool:
        """The version asked for lies in the server's future."""
        causes = self.details.get("causes") or []
        if any(c.get("reason") == "ResourceVersionTooLarge" for c in causes):
            return True
        return "Too large resource version" in self.message

    @property
    def is_unauthorized(self) -> bool:
        return self.code == 401

    @property
    def is_forbidden(self) -> bool:
        return self.code == 403

    @property
    def is_too_many_requests(self) -> bool:
        return self.code == 429

    @property
    def is_invalid(self) -> bool:
        return self.reason == "Invalid"
