"""A certificate authority of the server: what it listens with, and certificates for users."""

import datetime
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deltawire.common.errors import ConfigError, StateError

if TYPE_CHECKING:
    import trustme

CERTIFICATE_LIFETIME_S = 365 * 86_400.0
# Certificates are good from a little earlier on, for clients whose clock is behind.
_EARLY_S = 300.0


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Both are PEM. The holder of the key is that user."""

    certificate_pem: bytes
    key_pem: bytes


class Authority:
    """Makes a CA and a serving certificate for ``hosts`` (names and addresses).

    ``context`` asks clients for a certificate and takes those that this CA signed. With ``kept`` the CA is read
    from that file, or written there for the next start, so that kubeconfigs and certificates outlive a restart.
    Raises StateError for a file that cannot be used.
    """

    def __init__(self, *hosts: str, kept: Path | None = None) -> None:
        # Imported here: it costs 25 ms and 10 MB, which only a server with TLS should pay.
        import trustme

        self._authority = trustme.CA() if kept is None else _kept_authority(kept)
        self.ca_pem: bytes = self._authority.cert_pem.bytes()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*dict.fromkeys(hosts)).configure_cert(self.context)
        self._authority.configure_trust(self.context)
        self.context.verify_mode = ssl.CERT_OPTIONAL

    def false_context(self, hosts: Iterable[str], *, expired: bool) -> ssl.SSLContext:
        """For serving with a certificate that clients must refuse: of another CA, or one that has expired."""
        import trustme

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = dict.fromkeys(hosts)
        if expired:
            now = datetime.datetime.now(datetime.UTC)
            ends = now - datetime.timedelta(days=1)
            certificate = self._authority.issue_cert(
                *names, not_before=ends - datetime.timedelta(days=1), not_after=ends
            )
        else:
            certificate = trustme.CA().issue_cert(*names)
        certificate.configure_cert(context)
        return context

    def client_certificate(
        self, user: str, groups: Iterable[str] = (), lifetime_s: float = CERTIFICATE_LIFETIME_S
    ) -> ClientCertificate:
        """A certificate with ``user`` as common name and ``groups`` as organizations.

        Raises ConfigError for a name that a certificate cannot hold.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        try:
            names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
            subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        except ValueError as error:
            raise ConfigError(f"{user!r} cannot be named in a certificate: {error}", path="user") from None
        authority = x509.load_pem_x509_certificate(self.ca_pem)
        authority_key = serialization.load_pem_private_key(self._authority.private_key_pem.bytes(), None)
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(seconds=_EARLY_S))
            .not_valid_after(now + datetime.timedelta(seconds=lifetime_s))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(authority_key, hashes.SHA256())  # type: ignore[arg-type]  # trustme's keys can sign
        )
        return ClientCertificate(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )


def _kept_authority(path: Path) -> "trustme.CA":
    """The CA of the file: its key, then its certificate, as PEM."""
    import trustme

    try:
        if path.exists():
            key, mark, certificate = path.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
            return trustme.CA.from_pem(mark + certificate, key)
        made = trustme.CA()
        draft = path.with_name(f".{path.name}.new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(made.private_key_pem.bytes() + made.cert_pem.bytes())
        draft.replace(path)
        return made
    except (OSError, ValueError, TypeError) as error:
        raise StateError(
            f"the certificate authority {path} cannot be used: {error}", hint="remove it"
        ) from None
