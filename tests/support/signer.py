"""A certificate authority that signs requests, as a cluster's signer does."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Signer:
    """Signs what it is given, from ``start_s`` (wall time) for ``lifetime_s``."""

    def __init__(self, start_s: float, lifetime_s: float) -> None:
        self.start_s = start_s
        self.lifetime_s = lifetime_s
        self.signed = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer")])

    def sign(self, csr: bytes) -> bytes:
        request = x509.load_pem_x509_csr(csr)
        assert request.is_signature_valid
        start = datetime.datetime.fromtimestamp(self.start_s, datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._name)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(seconds=self.lifetime_s))
        )
        for extension in request.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        self.signed += 1
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def certificate_request(common_name: str) -> bytes:
    """A request for a certificate in that name, in PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    key = ec.generate_private_key(ec.SECP256R1())
    built = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM)
