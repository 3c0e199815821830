"""From the headers of a request and the certificate of its connection to a user."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from deltawire.apiserver.auth.tokens import Tokens
from deltawire.apiserver.auth.users import ADMIN, ANONYMOUS, Headers, User, authenticated
from deltawire.common.errors import StatusError

# What `ssl.SSLSocket.getpeercert` says of a certificate whose signature was checked.
PeerCertificate = Mapping[str, Any]


class Strangers(Enum):
    """What becomes of a request that does not say who sends it."""

    ADMINISTER = "everybody is the administrator"
    ANONYMOUS = "it is system:anonymous"
    REFUSED = "401"


class Authenticator:
    """Finds the user of a request: by certificate, then by bearer token (the API server's order)."""

    def __init__(self, tokens: Tokens, strangers: Strangers) -> None:
        self.tokens = tokens
        self.strangers = strangers

    def user(self, headers: Headers, certificate: PeerCertificate | None = None) -> User:
        """Raises StatusError 401 for a token that is not good, and for strangers where they are refused."""
        found = user_of_certificate(certificate) if certificate else None
        if found is not None:
            return found
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        token = given.strip()
        if scheme.lower() == "bearer" and token:
            found = self.tokens.bearer(token)
            if found is not None:
                return found
            raise unauthorized()
        match self.strangers:
            case Strangers.ADMINISTER:
                return ADMIN
            case Strangers.ANONYMOUS:
                return ANONYMOUS
        raise unauthorized()


def user_of_certificate(certificate: PeerCertificate) -> User | None:
    """Common name and organizations as user and groups; None without a common name."""
    named = list(_subject(certificate))
    name = next((value for kind, value in named if kind == "commonName"), "")
    groups = tuple(value for kind, value in named if kind == "organizationName")
    return authenticated(name, groups) if name else None


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def _subject(certificate: PeerCertificate) -> Iterator[tuple[str, str]]:
    for names in certificate.get("subject", ()):
        yield from names
