"""Keys, signing requests and certificates in PEM."""

import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from deltawire.common.errors import ConfigError

RSA_BITS_MIN = 2048
EC_BITS_MIN = 256


@dataclass(frozen=True, slots=True)
class Template:
    """Whom the certificate is to name. ``addresses`` are IP addresses as text."""

    common_name: str
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class KeyPair:
    """A certificate (with its chain) and its key, both PEM. Instants are wall time in seconds."""

    cert: bytes
    key: bytes
    named: Template
    not_before_s: float
    not_after_s: float

    def __repr__(self) -> str:
        return f"KeyPair({self.named.common_name!r}, not_after_s={self.not_after_s})"

    @property
    def pem(self) -> bytes:
        """Both in one file, as TLS libraries read it."""
        return self.cert.rstrip() + b"\n" + self.key

    def satisfies(self, template: Template) -> bool:
        """True if it names all that ``template`` names, under the same common name."""
        return (
            self.named.common_name == template.common_name
            and set(template.organizations) <= set(self.named.organizations)
            and set(template.dns_names) <= set(self.named.dns_names)
            and set(template.addresses) <= set(self.named.addresses)
        )


def request_for(template: Template) -> tuple[bytes, bytes]:
    """A new P-256 key, and a signing request for it. Raises ConfigError for an address that is none."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in template.organizations]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, template.common_name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in template.dns_names]
    try:
        names += [x509.IPAddress(ipaddress.ip_address(text)) for text in template.addresses]
    except ValueError as error:
        raise ConfigError(str(error), path="template.addresses") from None
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    csr = builder.sign(key, hashes.SHA256())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_pem, csr.public_bytes(serialization.Encoding.PEM)


def key_pair(cert: bytes, key: bytes) -> KeyPair:
    """The pair in PEM. Raises ConfigError for what cannot be read, does not belong together, or is too weak."""
    try:
        leaf = x509.load_pem_x509_certificates(cert)[0]
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, IndexError, UnsupportedAlgorithm):
        raise ConfigError("there is no certificate and key in PEM form, without a password") from None
    if leaf.public_key() != private.public_key():
        raise ConfigError("the certificate and the key do not belong together")
    weak = (isinstance(private, rsa.RSAPrivateKey) and private.key_size < RSA_BITS_MIN) or (
        isinstance(private, ec.EllipticCurvePrivateKey) and private.key_size < EC_BITS_MIN
    )
    if weak:
        raise ConfigError(f"a key needs {RSA_BITS_MIN} bits (RSA) or {EC_BITS_MIN} (elliptic curves)")
    return KeyPair(
        cert,
        key,
        _named(leaf),
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
    )


def _named(leaf: x509.Certificate) -> Template:
    def texts(oid: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(str(found.value) for found in leaf.subject.get_attributes_for_oid(oid))

    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns_names = tuple(found.get_values_for_type(x509.DNSName))
        addresses = tuple(str(address) for address in found.get_values_for_type(x509.IPAddress))
    except x509.ExtensionNotFound:
        pass  # a certificate for a client alone
    common_names = texts(NameOID.COMMON_NAME)
    return Template(
        common_names[0] if common_names else "", texts(NameOID.ORGANIZATION_NAME), dns_names, addresses
    )
