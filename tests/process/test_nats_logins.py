"""NATS servers with users, tokens and TLS: who may connect does, and what stands in the way is named."""

import datetime
import logging
from pathlib import Path

import pytest
import trustme

from deltawire.jetstream.connection import NatsError
from deltawire.jetstream.probe import probe
from deltawire.jetstream.settings import NatsSettings
from tests.support.nats_connections import connecting, until
from tests.support.nats_servers import NatsServers
from tests.support.nats_users import Operator, User

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("nats")]
PAYLOAD = 9 * 1024**2
USER = 'authorization { user: me, password: "hid/den" }'
TOKEN = 'authorization { token: "hidden" }'


def with_login(url: str, login: str) -> str:
    return url.replace("//", f"//{login}@")


@pytest.mark.parametrize(
    ("rights", "right", "wrong"), [(USER, "me:hid%2Fden", "me:hidwrong"), (TOKEN, "hidden", "hidwrong")]
)
def test_the_right_login_connects_and_a_wrong_one_is_one_line_without_it(
    tmp_path: Path, rights: str, right: str, wrong: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    with NatsServers(tmp_path, more=rights) as servers:
        [url] = servers.urls
        assert "with JetStream" in probe(NatsSettings(servers=(with_login(url, right),)), PAYLOAD)
        for login in (wrong, ""):
            named = with_login(url, login) if login else url
            with connecting(named) as connection:
                until(lambda: "authorization" in connection.problem.lower(), "the refusal")
                assert "look at user" in connection.problem
                assert "\n" not in connection.problem
                assert "hid" not in connection.problem
    assert "hid" not in caplog.text


def test_a_login_that_is_taken_away_and_given_back_needs_no_restart(tmp_path: Path):
    with (
        NatsServers(tmp_path, more=USER) as servers,
        connecting(with_login(servers.urls[0], "me:hid%2Fden")) as connection,
    ):
        until(lambda: connection.is_connected, "the connection")
        servers.configure(0, more=TOKEN)
        until(lambda: "authorization violation" in connection.problem.lower(), "the refusal")
        servers.configure(0, more=USER)
        until(lambda: connection.is_connected and not connection.problem, "the connection again")


class Tls:
    """Files of a CA, a server's certificate, and a client's."""

    def __init__(self, folder: Path, *, expired: bool = False) -> None:
        self._authority = trustme.CA()
        self.ca, self.cert, self.key = (str(folder / f"{name}.pem") for name in ("ca", "cert", "key"))
        self._server = [str(folder / f"server-{name}.pem") for name in ("cert", "key")]
        self._authority.cert_pem.write_to_path(self.ca)
        ends = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) if expired else None
        self._issue("127.0.0.1", *self._server, ends)
        self._issue("client.example", self.cert, self.key, None)

    def of_server(self, *, verify: bool = False) -> str:
        cert, key = self._server
        return f'tls {{ cert_file: "{cert}", key_file: "{key}", ca_file: "{self.ca}", verify: {str(verify).lower()} }}'

    def _issue(self, name: str, cert: str, key: str, ends: datetime.datetime | None) -> None:
        begins = ends - datetime.timedelta(days=30) if ends else None
        issued = self._authority.issue_cert(name, not_before=begins, not_after=ends)
        issued.private_key_pem.write_to_path(key)
        for index, pem in enumerate(issued.cert_chain_pems):
            pem.write_to_path(cert, append=index > 0)


def test_a_server_with_tls_is_reached_with_its_ca_and_not_without(tmp_path: Path):
    tls = Tls(tmp_path)
    (other := tmp_path / "other").mkdir()
    with NatsServers(tmp_path, more=tls.of_server()) as servers:
        url = servers.urls[0].replace("nats://", "tls://")
        assert "with JetStream" in probe(NatsSettings(servers=(url,), ca=tls.ca), PAYLOAD)
        for ca in (Tls(other).ca, None):
            with connecting(url, ca=ca) as connection:
                until(lambda: "certificate verify failed" in connection.problem, "the refusal")
                assert "look at tls://" in connection.problem
                assert "\n" not in connection.problem


def test_an_expired_certificate_of_a_server_is_refused_and_said(tmp_path: Path):
    tls = Tls(tmp_path, expired=True)
    with (
        NatsServers(tmp_path, more=tls.of_server()) as servers,
        connecting(*servers.urls, ca=tls.ca) as connection,
    ):
        until(lambda: "certificate has expired" in connection.problem, "the refusal")
        assert not connection.is_connected


def test_a_server_that_asks_for_a_certificate_gets_the_configs(tmp_path: Path):
    tls = Tls(tmp_path)
    with NatsServers(tmp_path, more=tls.of_server(verify=True)) as servers:
        urls = tuple(servers.urls)
        settings = NatsSettings(servers=urls, ca=tls.ca, cert=tls.cert, key=tls.key)
        assert "with JetStream" in probe(settings, PAYLOAD)
        with connecting(*urls, ca=tls.ca) as connection:
            # As the alert comes, or the end of the connection before it.
            until(lambda: servers.urls[0][7:] in connection.problem, "the refusal")
            assert not connection.is_connected


def test_a_server_without_jetstream_is_named_with_what_to_do(tmp_path: Path):
    with NatsServers(tmp_path, jetstream=False) as servers, pytest.raises(NatsError, match="nats-server -js"):
        probe(NatsSettings(servers=tuple(servers.urls)), PAYLOAD)


def test_a_users_credentials_connect_and_another_operators_are_refused_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    operator, user, path = Operator(), User(), tmp_path / "user.creds"
    path.write_text(Operator().credentials(user))
    with NatsServers(tmp_path, more=operator.config) as servers:
        [url] = servers.urls
        with connecting(url, credentials=str(path)) as connection:
            until(lambda: "authorization" in connection.problem.lower(), "the refusal")
            assert "credentials" in connection.problem
            assert "\n" not in connection.problem
            # Renewed while it runs: no restart.
            path.write_text(operator.credentials(user))
            until(lambda: connection.is_connected and not connection.problem, "the connection")
        assert "with JetStream" in probe(NatsSettings(servers=(url,), credentials=str(path)), PAYLOAD)
    assert user.seed not in caplog.text


def test_credentials_that_end_are_named_and_renewed_ones_taken_without_a_restart(tmp_path: Path):
    operator, path = Operator(), tmp_path / "user.creds"
    path.write_text(operator.credentials(expires_in_s=3))
    with (
        NatsServers(tmp_path, more=operator.config) as servers,
        connecting(servers.urls[0], credentials=str(path)) as connection,
    ):
        until(lambda: connection.is_connected or connection.problem.count("auth"), "the connection")
        until(lambda: not connection.is_connected and "auth" in connection.problem.lower(), "the end")
        path.write_text(operator.credentials())
        until(lambda: connection.is_connected and not connection.problem, "the connection again")
