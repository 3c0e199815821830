"""A certificate authority and a serving certificate for one run of the server."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServingCertificate:
    """What the server listens with, and the CA certificate (PEM) that clients must trust."""

    context: ssl.SSLContext
    ca_pem: bytes


def issue(*hosts: str) -> ServingCertificate:
    """Make a CA and a certificate for ``hosts`` (names and addresses); nothing is kept."""
    # Imported here: it costs 25 ms and 10 MB, which only a server with TLS should pay.
    import trustme

    authority = trustme.CA()
    certificate = authority.issue_cert(*dict.fromkeys(hosts))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return ServingCertificate(context, authority.cert_pem.bytes())
