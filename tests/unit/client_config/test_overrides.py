from pathlib import Path
from typing import Any

import pytest

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.identity import Impersonation
from deltawire.client.config.loading import load
from deltawire.client.config.overrides import Overrides
from deltawire.common.errors import ConfigError

POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
TEXT = """
current-context: x
clusters:
- {name: c, cluster: {server: "https://one", certificate-authority: ca.crt, tls-server-name: inner}}
- {name: d, cluster: {server: "https://two"}}
users:
- {name: u, user: {token: old, client-certificate-data: Yw==, client-key-data: aw==}}
- {name: v, user: {username: ada, password: pw, as: root}}
contexts:
- {name: x, context: {cluster: c, user: u}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "config"
    found.write_text(TEXT)
    return found


def taken(file: Path, **overrides: Any) -> ClientConfig:
    return load(kubeconfig=str(file), overrides=Overrides(**overrides), env={})


def test_another_cluster_and_user_of_the_file_can_be_chosen(file: Path):
    config = taken(file, cluster="d", user="v")
    assert (config.host, config.username, config.impersonate.user) == ("https://two", "ada", "root")


@pytest.mark.parametrize("name", ["cluster", "user"])
def test_a_chosen_entry_must_exist(file: Path, name: str):
    with pytest.raises(ConfigError, match=f"there is no {name} named 'z'"):
        taken(file, **{name: "z"})


def test_another_server_forgets_the_name_in_the_old_ones_certificate(file: Path):
    assert taken(file, server="https://new:6443/").tls_server_name == ""
    config = taken(file, server="new:6443", tls_server_name="n")
    assert (config.host, config.tls_server_name) == ("https://new:6443", "n")


@pytest.mark.parametrize(
    ("override", "ca_file", "ca_data", "insecure"),
    [
        ({"insecure_skip_tls_verify": True}, "", b"", True),
        ({"ca_data": b"ca"}, "", b"ca", False),
        ({"ca_file": "other.crt"}, "other.crt", b"", False),
    ],
)
def test_what_is_said_about_trust_replaces_all_that_was_said(
    file: Path, override: dict[str, Any], ca_file: str, ca_data: bytes, insecure: bool
):
    config = taken(file, **override)
    assert (config.ca_file, config.ca_data, config.insecure_skip_tls_verify) == (ca_file, ca_data, insecure)


def test_a_given_token_replaces_token_and_user_name(file: Path):
    assert taken(file, token="new").token == "new"
    config = taken(file, user="v", token="new")
    assert (config.token, config.username, config.password) == ("new", "", "")


def test_a_given_certificate_replaces_file_and_data(file: Path):
    config = taken(file, cert_file="c.crt", key_file="c.key")
    assert (config.cert_file, config.cert_data, config.key_file, config.key_data) == (
        "c.crt",
        b"",
        "c.key",
        b"",
    )


def test_one_may_act_as_somebody_else_than_the_file_says(file: Path):
    assert taken(file, user="v", impersonate=Impersonation("eve")).impersonate == Impersonation("eve")


def test_credentials_of_the_file_do_not_go_to_a_server_without_tls(
    file: Path, caplog: pytest.LogCaptureFixture
):
    assert taken(file, server="http://plain").token == ""
    assert "not TLS" in caplog.text


def test_a_pods_configuration_takes_server_and_token(tmp_path: Path):
    (tmp_path / "token").write_text("t")
    given = Overrides(server="https://new", token="mine")
    config = load(overrides=given, env=POD, home=tmp_path, service_account=tmp_path)
    assert (config.host, config.token, config.token_file) == ("https://new", "mine", "")
    with pytest.raises(ConfigError, match="names an entry of a kubeconfig"):
        load(overrides=Overrides(cluster="c"), env=POD, home=tmp_path, service_account=tmp_path)


def test_the_reason_for_the_choice_is_recorded(file: Path, tmp_path: Path):
    (tmp_path / "token").write_text("t")
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    (home / ".kube" / "config").write_text(TEXT)
    assert "given kubeconfig" in taken(file).why
    assert "$KUBECONFIG is set" in load(env={"KUBECONFIG": str(file)}, home=home).why
    assert "this is a pod" in load(env=POD, home=home, service_account=tmp_path).why
    assert "a context is given" in load(context="x", env=POD, home=home, service_account=tmp_path).why
    assert "no pod" in load(env={}, home=home, service_account=home).why


def test_overrides_show_no_secret():
    assert (
        repr(Overrides(server="s", token="s3cret", password="s3cret")) == "Overrides(server, token, password)"
    )
