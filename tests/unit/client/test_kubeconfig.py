import base64
from pathlib import Path

import pytest

from deltawire.client.config import kubeconfig
from deltawire.client.config.effective import effective
from deltawire.client.config.kubeconfig import merge, parse, read
from deltawire.common.errors import ConfigError

FILE = Path("/k/config")
CA = base64.b64encode(b"the ca").decode()
PLAIN = f"""
apiVersion: v1
kind: Config
current-context: dev
preferences: {{}}
clusters:
- name: c1
  cluster: {{server: "https://one:6443", certificate-authority-data: {CA}, tls-server-name: other}}
users:
- name: u1
  user: {{token: s3cret}}
contexts:
- name: dev
  context: {{cluster: c1, user: u1, namespace: team}}
"""


def taken(text: str, context: str = "", namespace: str = ""):
    return effective(parse(text.encode(), FILE), source="test", context=context, namespace=namespace)


def test_the_current_context_is_taken():
    config = taken(PLAIN)
    assert config.host == "https://one:6443"
    assert config.ca_data == b"the ca"
    assert config.tls_server_name == "other"
    assert config.token == "s3cret"
    assert config.namespace == "team"
    assert config.context == "dev"
    assert config.source == "test, context 'dev'"


def test_a_given_namespace_wins_over_the_contexts():
    assert taken(PLAIN, namespace="mine").namespace == "mine"


def test_without_any_namespace_it_is_default():
    assert taken(PLAIN.replace(", namespace: team", "")).namespace == "default"


def test_the_first_file_that_sets_an_entry_wins_whole():
    first = parse(
        b"{clusters: [{name: c1, cluster: {server: 'https://first'}}], users: null}", Path("/a/config")
    )
    merged = merge([first, parse(PLAIN.encode(), FILE)])
    assert merged.clusters["c1"].entry.server == "https://first"
    assert merged.clusters["c1"].entry.certificate_authority_data == ""
    assert merged.current_context == "dev"
    assert list(merged.users) == ["u1"]


def test_the_first_current_context_wins():
    files = [parse(f"current-context: {name}".encode(), FILE) for name in ("", "two", "three")]
    assert merge(files).current_context == "two"


def test_relative_paths_are_meant_from_their_own_file():
    text = PLAIN.replace(f"certificate-authority-data: {CA}", "certificate-authority: pki/ca.crt").replace(
        "token: s3cret", "client-certificate: /abs/c.crt, client-key: ../k.key, tokenFile: t"
    )
    config = taken(text)
    assert config.ca_file == "/k/pki/ca.crt"
    assert config.cert_file == "/abs/c.crt"
    assert config.key_file == "/k/../k.key"
    assert config.token_file == "/k/t"


def test_a_tilde_in_a_path_is_the_home_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert taken(PLAIN.replace("token: s3cret", "tokenFile: ~/token")).token_file == "/home/ada/token"


def test_data_wins_over_the_file_of_the_same_thing():
    both = f"certificate-authority-data: {CA}, certificate-authority: ca.crt"
    config = taken(PLAIN.replace(f"certificate-authority-data: {CA}", both))
    assert (config.ca_data, config.ca_file) == (b"the ca", "")


def test_credentials_are_not_sent_in_the_clear(caplog: pytest.LogCaptureFixture):
    config = taken(PLAIN.replace("https://one:6443", "http://one:8080"))
    assert config.token == ""
    assert "s3cret" not in caplog.text
    assert "not TLS" in caplog.text


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("one:6443", "https://one:6443"),  # a CA is given
        ("https://one/k8s/clusters/x/?a=b#c", "https://one/k8s/clusters/x"),
    ],
)
def test_a_server_is_made_a_url(server: str, host: str):
    assert taken(PLAIN.replace("https://one:6443", server)).host == host


def test_a_server_without_scheme_and_trust_is_plain_http():
    text = PLAIN.replace("https://one:6443", "one:8080").replace(f"certificate-authority-data: {CA}, ", "")
    assert taken(text).host == "http://one:8080"


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        (("server:", "serve:"), "/k/config: clusters[0].cluster.server", "has no server"),
        ((CA, "'***'"), "/k/config: clusters[0].cluster.certificate-authority-data", "not base64"),
        (("token: s3cret", "token: 7"), "/k/config: users[0].user.token", "Expected str, got int"),
        (("cluster: c1", "cluster: c2"), "/k/config: contexts[0].context.cluster", "no cluster named 'c2'"),
        (("user: u1", "user: u2"), "/k/config: contexts[0].context.user", "no user named 'u2'"),
        (("current-context: dev", ""), "test", "current-context is not set"),
        (("current-context: dev", "current-context: prod"), "test", "no context named 'prod'"),
        (("token: s3cret", "auth-provider: {name: gcp}"), "/k/config: users[0].user.auth-provider", "'gcp'"),
        (("token: s3cret", "token: s3cret, username: u"), "/k/config: users[0].user", "both a token"),
        (
            ("tls-server-name: other", "proxy-url: ftp://x"),
            "/k/config: clusters[0].cluster.proxy-url",
            "proxy",
        ),
    ],
)
def test_a_mistake_is_named_with_file_and_field(change: tuple[str, str], path: str, message: str):
    with pytest.raises(ConfigError) as found:
        taken(PLAIN.replace(*change))
    assert found.value.path == path
    assert message in str(found.value)
    assert "s3cret" not in str(found.value)


def test_a_name_that_occurs_twice_in_one_file_is_a_mistake():
    with pytest.raises(ConfigError, match=r"users\[1\]\.name: a second user named 'u'"):
        parse(b"users: [{name: u, user: {}}, {name: u, user: {}}]", FILE)


@pytest.mark.parametrize("text", ["a: [", "{clusters: 5}", "[]", "\x00"])
def test_what_is_no_kubeconfig_is_refused(text: str):
    with pytest.raises(ConfigError, match="/k/config"):
        parse(text.encode(), FILE)


def test_an_empty_file_is_an_empty_config(tmp_path: Path):
    (tmp_path / "config").write_text("")
    assert read(tmp_path / "config").contexts == {}


def test_a_folder_cannot_be_read(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path)


def test_a_file_of_unreasonable_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kubeconfig, "KUBECONFIG_BYTES_MAX", 10)
    (tmp_path / "config").write_text("#" * 11)
    with pytest.raises(ConfigError, match="larger than 10 bytes"):
        read(tmp_path / "config")


def test_a_context_without_a_cluster_is_named():
    with pytest.raises(ConfigError, match="names no cluster"):
        taken(PLAIN.replace("cluster: c1,", ""))


def test_a_context_without_a_user_is_anonymous():
    config = taken(PLAIN.replace("user: u1, ", ""))
    assert (config.token, config.host) == ("", "https://one:6443")
