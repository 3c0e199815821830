"""The certificate that comes with the credentials is the one that is shown, or the request fails."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from deltawire.client.auth.tls_source import CA_LOOK_S, TlsSource
from deltawire.client.config.client_config import ClientConfig
from deltawire.common.clock import FakeClock
from deltawire.common.errors import CredentialsError


class Giving:
    """Credentials with a certificate."""

    def __init__(self, given: tuple[bytes, bytes]) -> None:
        self.given = given

    def headers(self) -> Mapping[str, str]:
        return {}

    def certificate(self) -> tuple[bytes, bytes]:
        return self.given

    def invalidate(self, refused: Mapping[str, str] | None = None) -> bool:
        return False


def pair(authority: trustme.CA) -> tuple[bytes, bytes]:
    made = authority.issue_cert("ada@example.com")
    return made.cert_chain_pems[0].bytes(), made.private_key_pem.bytes()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_given_certificate_that_cannot_be_used_fails_instead_of_the_last_one_being_kept(
    authority: trustme.CA,
):
    good = pair(authority)
    credentials = Giving(good)
    source = TlsSource(
        ClientConfig("https://h", ca_data=authority.cert_pem.bytes()), credentials, FakeClock()
    )
    before = source.current()
    credentials.given = (good[0], pair(authority)[1])
    for _ in range(2):
        with pytest.raises(CredentialsError, match="the client certificate cannot be used"):
            source.current()
    credentials.given = pair(authority)
    assert source.current().identity == before.identity + 1


def test_a_broken_ca_file_does_not_keep_a_new_certificate_from_being_shown(
    tmp_path: Path, authority: trustme.CA
):
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.cert_pem.bytes())
    credentials, clock = Giving(pair(authority)), FakeClock()
    source = TlsSource(ClientConfig("https://h", ca_file=str(ca)), credentials, clock)
    before = source.current()
    ca.write_text("no certificate")
    credentials.given = pair(authority)
    clock.advance(CA_LOOK_S)
    after = source.current()
    assert (after.identity, after.trust) == (before.identity + 1, before.trust)
