"""The connection to NATS, against servers that are not as they should be."""

from pathlib import Path

import pytest

from tests.support.fake_nats import FakeNats
from tests.support.nats_connections import connecting, until
from tests.support.nats_users import User


@pytest.mark.parametrize(
    "error", ["Authorization Violation", "User Authentication Expired", "maximum connections exceeded"]
)
def test_a_server_that_ends_the_connection_with_an_error_is_tried_again(error: str):
    with FakeNats() as server, connecting(server.url) as connection:
        until(lambda: connection.is_connected, "the connection")
        server.say(f"-ERR '{error}'")
        until(lambda: connection.reconnects == 1, "another connection")
        assert len(server.logins) == 2


def test_lacking_permissions_are_named_and_end_no_connection():
    with FakeNats() as server, connecting(server.url) as connection:
        until(lambda: connection.is_connected, "the connection")
        server.say("""-ERR 'Permissions Violation for Publish to "dw.x"'""")
        until(lambda: "permissions violation" in connection.problem, "that it is named")
        assert connection.is_connected
        assert len(server.logins) == 1


@pytest.mark.parametrize("asks", ["tls", "ca"])
def test_where_the_config_asks_for_tls_a_server_without_it_gets_no_password(asks: str, tmp_path: Path):
    import trustme

    trustme.CA().cert_pem.write_to_path(ca := tmp_path / "ca.pem")
    scheme, files = ("tls", {}) if asks == "tls" else ("nats", {"ca": str(ca)})
    with FakeNats() as server:
        url = f"{scheme}://me:hidden@127.0.0.1:{server.port}"
        with connecting(url, **files) as connection:
            until(lambda: len(server.connections) > 1, "a second attempt")
            assert not connection.is_connected
            assert not server.logins
            assert "has no TLS" in connection.problem
            assert "hidden" not in connection.problem


def test_a_broken_certificate_file_is_named_and_read_again(tmp_path: Path):
    import trustme

    (ca := tmp_path / "ca.pem").write_text("broken")
    with FakeNats() as server, connecting(server.url, ca=str(ca)) as connection:
        until(lambda: str(ca) in connection.problem, "that the file is named")
        trustme.CA().cert_pem.write_to_path(ca)
        until(lambda: "has no TLS" in connection.problem, "an attempt with the mended file")


@pytest.mark.parametrize(
    ("greeting", "said"),
    [(b"HTTP/1.1 400 Bad Request\r\n", "INFO"), (b"INFO {\r\n", "json"), (b"INFO []\r\n", "not understood")],
)
def test_a_server_that_is_no_nats_is_named_and_tried_again(greeting: bytes, said: str):
    with FakeNats(greeting=greeting) as server, connecting(server.url) as connection:
        until(lambda: len(server.connections) > 2, "further attempts")
        # Of any attempt: on a busy machine one may have ended in another way, without an answer in time.
        until(lambda: server.url in (problem := connection.problem) and said in problem, "what is wrong with it")


def test_a_server_that_accepts_and_says_nothing_is_left_for_another():
    with FakeNats(mute=True) as mute, FakeNats() as server, connecting(mute.url, server.url) as connection:
        until(lambda: connection.is_connected, "the other server")
        assert connection.server == server.url


def test_a_name_that_does_not_resolve_is_one_line_that_names_it():
    with connecting("nats://no-such-host.invalid:4222") as connection:
        until(lambda: "no-such-host.invalid:4222: [Errno" in connection.problem, "the problem")
        assert "\n" not in connection.problem


def test_user_and_password_are_of_the_servers_too_that_others_tell_of():
    with FakeNats() as second:
        told = [f"127.0.0.1:{second.port}"]
        with (
            FakeNats(connect_urls=told, auth_required=True) as first,
            connecting(f"nats://me:a%2Fb@127.0.0.1:{first.port}") as connection,
        ):
            until(lambda: connection.is_connected, "the connection")
            first.__exit__()
            until(lambda: second.logins, "the second server")
            for login in (first.logins[0], second.logins[0]):
                assert (login["user"], login["pass"]) == ("me", "a/b")


def test_a_token_in_the_url_is_the_login():
    with FakeNats(auth_required=True) as server, connecting(server.url.replace("//", "//abc@")) as connection:
        until(lambda: connection.is_connected, "the connection")
        assert server.logins[0]["auth_token"] == "abc"
        assert connection.server == server.url


def test_credentials_that_are_missing_fail_an_attempt_and_are_taken_when_they_are_there(tmp_path: Path):
    user, path = User(), tmp_path / "user.creds"
    with (
        FakeNats(auth_required=True, nonce="abc") as server,
        connecting(server.url, credentials=str(path)) as connection,
    ):
        until(lambda: f"credentials {path} cannot be read" in connection.problem, "that it is said")
        path.write_text(user.file("a.user.jwt"))
        until(lambda: connection.is_connected, "the connection")
        assert server.logins[-1]["jwt"] == "a.user.jwt"
        user.verify(server.logins[-1]["sig"], b"abc")
