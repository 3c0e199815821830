import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from deltawire.client.auth.credentials import FixedHeaders, credentials_of
from deltawire.client.auth.exec_credential import ExecCluster, parse, request_of
from deltawire.client.auth.exec_plugin import YOUNG_S, ExecCredentials
from deltawire.client.auth.plugin_process import Finished
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.identity import EXEC_API_VERSIONS, ExecPlugin
from deltawire.common.clock import FakeClock, SystemClock
from deltawire.common.errors import ConfigError, CredentialsError

V1, V1BETA1 = EXEC_API_VERSIONS
PLUGIN = ExecPlugin("get-token", ("--for", "me"), (("SECRET", "s3cret"),), where="/k: users[0].user.exec")
CONFIG = ClientConfig("https://h:6443", ca_data=b"the ca", tls_server_name="inner", exec_plugin=PLUGIN)


def printed(version: str = V1, **status: Any) -> bytes:
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}).encode()


class Runs:
    """Plays a plug-in: answers in turn, the last one for ever."""

    def __init__(self, *answers: bytes | int | CredentialsError) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[list[str], Mapping[str, str], bool]] = []

    def __call__(
        self, argv: list[str], env: Mapping[str, str], *, is_interactive: bool, clock: Any
    ) -> Finished:
        self.seen.append((argv, env, is_interactive))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, CredentialsError):
            raise answer
        return Finished(answer, b"") if isinstance(answer, int) else Finished(0, answer)

    @property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.seen[-1][1]["KUBERNETES_EXEC_INFO"])
        return found


def credentials(
    run: Runs, plugin: ExecPlugin = PLUGIN, clock: FakeClock | None = None, *, terminal: bool = False
) -> ExecCredentials:
    return ExecCredentials(
        plugin,
        CONFIG,
        clock=clock or FakeClock(),
        run=run,
        is_terminal=lambda: terminal,
        env={"PATH": "/bin"},
    )


def test_the_plugin_runs_at_the_first_request_and_not_again():
    run = Runs(printed(token="one"), printed(token="two"))
    found = credentials(run)
    assert run.seen == []
    assert found.headers() == {"Authorization": "Bearer one"}
    assert found.headers() == {"Authorization": "Bearer one"}
    assert found.certificate() is None
    assert len(run.seen) == 1


def test_the_plugin_gets_its_arguments_and_our_environment_with_its_own_on_top():
    run = Runs(printed(token="t"))
    credentials(run, ExecPlugin("p", ("-a",), (("PATH", "/own"), ("X", "1")))).headers()
    argv, env, _ = run.seen[0]
    assert argv == ["p", "-a"]
    assert (env["PATH"], env["X"]) == ("/own", "1")
    assert run.told == {"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": False}}


def test_a_plugin_that_asks_for_it_is_told_about_the_cluster():
    run = Runs(printed(V1BETA1, token="t"))
    plugin = ExecPlugin(
        "p", api_version=V1BETA1, provide_cluster_info=True, cluster_config=b'{"audience":"x"}'
    )
    credentials(run, plugin).headers()
    assert run.told["apiVersion"] == V1BETA1
    assert run.told["spec"]["cluster"] == {
        "server": "https://h:6443",
        "tls-server-name": "inner",
        "certificate-authority-data": base64.b64encode(b"the ca").decode(),
        "config": {"audience": "x"},
    }


def test_a_cluster_with_nothing_for_plugins_is_told_with_a_null():
    run = Runs(printed(token="t"))
    credentials(run, ExecPlugin("p", provide_cluster_info=True)).headers()
    assert run.told["spec"]["cluster"]["config"] is None


def test_a_name_of_a_variable_ends_at_its_first_equals_sign():
    run = Runs(printed(token="t"))
    credentials(run, ExecPlugin("p", env=(("A=B", "1"), ("C", "2=3")))).headers()
    assert {name: run.seen[0][1].get(name) for name in ("A", "A=B", "C")} == {
        "A": "B=1",
        "A=B": None,
        "C": "2=3",
    }


def test_a_token_is_renewed_when_it_has_expired():
    clock = FakeClock(wall_s=1_700_000_000.0)
    run = Runs(printed(token="one", expirationTimestamp="2023-11-14T22:14:20Z"), printed(token="two"))
    found = credentials(run, clock=clock)  # expires 60 s after the clock's start
    found.headers()
    clock.advance(59)
    assert found.headers()["Authorization"] == "Bearer one"
    clock.advance(1)
    assert found.headers()["Authorization"] == "Bearer two"


def test_a_refused_token_is_asked_for_again_once_however_many_threads_were_refused():
    clock = FakeClock()
    run = Runs(printed(token="one"), printed(token="two"))
    found = credentials(run, clock=clock)
    refused = found.headers()
    clock.advance(10)
    assert found.invalidate(refused)
    assert found.headers()["Authorization"] == "Bearer two"
    assert found.invalidate(refused)  # a second thread, refused with the same token
    assert found.headers()["Authorization"] == "Bearer two"
    assert len(run.seen) == 2


def test_a_token_that_is_refused_at_once_is_not_asked_for_again():
    clock = FakeClock()
    run = Runs(printed(token="one"))
    found = credentials(run, clock=clock)
    refused = found.headers()
    clock.advance(YOUNG_S / 2)
    assert not found.invalidate(refused)
    assert len(run.seen) == 1


def test_a_certificate_comes_with_its_key(pair: tuple[str, str]):
    cert, key = pair
    run = Runs(printed(clientCertificateData=cert, clientKeyData=key))
    found = credentials(run)
    assert found.headers() == {}
    assert found.certificate() == (cert.encode(), key.encode())
    assert len(run.seen) == 1


@pytest.mark.parametrize("token", [{}, {"token": "s3cret"}])
def test_a_certificate_that_does_not_fit_its_key_fails_the_request(
    pair: tuple[str, str], token: dict[str, str]
):
    cert, key = pair
    other = trustme.CA().issue_cert("eve@x").private_key_pem.bytes().decode()
    for broken in ((cert, other), ("s3cret", "s3cret"), (key, cert), (cert, "s3cret")):
        status = dict(zip(("clientCertificateData", "clientKeyData"), broken, strict=True))
        found = credentials(Runs(printed(**status, **token)))
        for ask in (found.headers, found.certificate):
            with pytest.raises(CredentialsError, match="are no pair in PEM form") as error:
                ask()
            assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("mode", "terminal", "interactive"),
    [
        ("Never", True, False),
        ("IfAvailable", True, True),
        ("IfAvailable", False, False),
        ("Always", True, True),
    ],
)
def test_the_interactive_mode_decides_who_owns_stdin(mode: str, terminal: bool, interactive: bool):
    run = Runs(printed(token="t"))
    credentials(run, ExecPlugin("p", interactive_mode=mode), terminal=terminal).headers()
    assert run.seen[0][2] is interactive
    assert run.told["spec"]["interactive"] is interactive


def test_a_plugin_that_must_ask_a_person_fails_without_a_terminal():
    run = Runs(printed(token="t"))
    with pytest.raises(CredentialsError, match="standard input is not a terminal"):
        credentials(run, ExecPlugin("p", interactive_mode="Always")).headers()
    assert run.seen == []


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (b"", "no ExecCredential in JSON or YAML"),
        (b"Please log in: s3cret", "no ExecCredential in JSON or YAML"),
        (b"\xff\xfe", "no ExecCredential in JSON or YAML"),
        (b'{"status":{"token":7}}', "no ExecCredential in JSON or YAML"),
        (b'{"kind":"Pod"}', "another kind of object"),
        (printed(V1BETA1, token="s3cret"), "another version"),
        (b'{"apiVersion":"%s","kind":"ExecCredential"}' % V1.encode(), "no status"),
        (printed(), "neither a token nor a client certificate"),
        (printed(clientCertificateData="s3cret"), "only one of"),
        (printed(clientKeyData="s3cret", token="t"), "only one of"),
        (printed(token="s3cret\r\nX: y"), "no bearer token has"),
        (printed(token="t", expirationTimestamp="soon"), "no time"),
    ],
)
def test_a_plugin_that_prints_garbage_is_named_and_not_quoted(output: bytes, text: str):
    with pytest.raises(CredentialsError) as found:
        credentials(Runs(output)).headers()
    assert text in str(found.value)
    assert "'get-token'" in str(found.value)
    assert "s3cret" not in str(found.value)
    assert "\n" not in str(found.value)
    assert found.value.retryable


def test_the_exit_code_of_a_plugin_that_failed_is_said():
    with pytest.raises(
        CredentialsError, match="getting credentials: the exec plug-in 'get-token' failed with exit code 3"
    ):
        credentials(Runs(3)).headers()


def test_a_plugin_that_is_missing_comes_with_its_install_hint():
    plugin = ExecPlugin("gone", install_hint="apt install gone")
    with pytest.raises(CredentialsError, match=r"not found \(apt install gone\)"):
        credentials(Runs(CredentialsError("not found")), plugin).headers()


def test_after_a_failure_the_next_request_asks_again():
    run = Runs(1, printed(token="t"))
    found = credentials(run)
    with pytest.raises(CredentialsError):
        found.headers()
    assert found.headers()["Authorization"] == "Bearer t"


@pytest.mark.parametrize(
    ("written", "at_s"),
    [
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T02:01:00+02:00", 60),
        ("1969-12-31T22:01:00-02:00", 60),
        ("1970-01-01T00:01:00.25Z", 60.25),
        ("1970-01-01T00:01:00,25Z", 60.25),
        ("1970-01-01T0:01:00Z", 60),
        ("0001-01-01T00:00:00Z", None),  # Go's zero time
        (None, None),
    ],
)
def test_an_expiry_is_read_as_go_reads_times(written: str | None, at_s: float | None):
    assert parse(printed(token="t", expirationTimestamp=written), PLUGIN).expires_at_s == at_s


@pytest.mark.parametrize(
    "written",
    [
        "1970-01-01T00:01:00",
        "1970-01-01 00:01:00Z",
        "1970-01-01t00:01:00z",
        "1970-02-30T00:00:00Z",
        "1970-01-01T00:00:60Z",
        "1970-01-01T00:01:00+0200",
        "",
    ],
)
def test_an_expiry_that_go_does_not_read_is_refused(written: str):
    with pytest.raises(CredentialsError, match="is no time"):
        parse(printed(token="t", expirationTimestamp=written), PLUGIN)


def test_other_credentials_leave_the_plugin_alone(tmp_path: Path):
    for other in ({"token": "t"}, {"username": "u"}, {"cert_data": b"c", "key_data": b"k"}):
        found = credentials_of(ClientConfig("https://h", exec_plugin=PLUGIN, **other), clock=SystemClock())  # type: ignore[arg-type]  # one of several fields
        assert isinstance(found, FixedHeaders)


@pytest.fixture(scope="module")
def pair() -> tuple[str, str]:
    """A client certificate and its key."""
    made = trustme.CA().issue_cert("ada@x")
    return made.cert_chain_pems[0].bytes().decode(), made.private_key_pem.bytes().decode()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The plug-in's own path."""
    program = tmp_path / "get-token"
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return str(program)


def test_a_plugin_may_be_allowed_by_name_or_by_the_path_where_it_is_found(installed: str):
    for allowed in (None, ("get-token",), (installed,), ("other", "get-token")):
        assert isinstance(credentials_of(replace(CONFIG, exec_allowed=allowed)), ExecCredentials)


def test_a_plugin_that_is_not_allowed_is_refused_before_it_runs(installed: str):
    by_path = replace(PLUGIN, command=installed)
    for plugin, allowed in (
        (PLUGIN, ()),
        (PLUGIN, ("get",)),
        (PLUGIN, ("/bin/get-token",)),
        (by_path, ("get-token",)),
    ):
        with pytest.raises(ConfigError, match=r"users\[0\].user.exec.* is not allowed"):
            credentials_of(replace(CONFIG, exec_plugin=plugin, exec_allowed=allowed))


@pytest.mark.parametrize("entry", ["", "./get-token", "/bin/../get-token", "/bin/"])
def test_an_entry_that_could_mean_anything_is_refused(entry: str):
    with pytest.raises(ConfigError, match="is no plain name or path"):
        credentials_of(replace(CONFIG, exec_allowed=("get-token", entry)))


def test_clients_of_one_process_share_a_plugins_credentials():
    first, second = credentials_of(CONFIG), credentials_of(CONFIG)
    assert isinstance(first, ExecCredentials)
    assert first is second
    other = ClientConfig("https://other", exec_plugin=PLUGIN)
    assert credentials_of(other) is not first


def test_no_repr_shows_a_secret():
    shown = repr(CONFIG) + repr(parse(printed(token="s3cret"), PLUGIN)) + repr(Finished(0, b"s3cret"))
    assert "s3cret" not in shown
    assert "'get-token'" in shown


def test_the_request_is_json_of_the_configured_version():
    told = json.loads(request_of(PLUGIN, ExecCluster("https://h"), is_interactive=True))
    assert told == {"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": True}}
