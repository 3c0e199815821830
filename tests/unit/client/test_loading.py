import pickle
from pathlib import Path

import pytest

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.in_cluster import in_cluster
from deltawire.client.config.loading import load
from deltawire.common.errors import ConfigError


def kubeconfig(folder: Path, server: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config"
    file.write_text(
        f"{{current-context: a, clusters: [{{name: c, cluster: {{server: 'https://{server}'}}}}], contexts: "
        "[{name: a, context: {cluster: c}}, {name: b, context: {cluster: c, namespace: bee}}]}"
    )
    return file


@pytest.fixture
def home(tmp_path: Path) -> Path:
    kubeconfig(tmp_path / "home" / ".kube", "home")
    return tmp_path / "home"


@pytest.fixture
def account(tmp_path: Path) -> Path:
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("t0")
    (folder / "namespace").write_text("pod-ns\n")
    (folder / "ca.crt").write_text("ca")
    return folder


POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def test_a_given_kubeconfig_wins_over_everything(tmp_path: Path, home: Path, account: Path):
    file = kubeconfig(tmp_path / "given", "given")
    other = kubeconfig(tmp_path / "env", "env")
    found = load(
        kubeconfig=str(file), env={**POD, "KUBECONFIG": str(other)}, home=home, service_account=account
    )
    assert found.host == "https://given"
    assert found.source == f"the given kubeconfig {file}, context 'a'"


def test_a_given_context_wins_over_the_pods_account(home: Path, account: Path):
    found = load(context="b", env=POD, home=home, service_account=account)
    assert (found.host, found.namespace) == ("https://home", "bee")


def test_the_kubeconfig_variable_wins_over_the_pods_account(tmp_path: Path, home: Path, account: Path):
    one, two = tmp_path / "missing", kubeconfig(tmp_path / "two", "two")
    found = load(env={**POD, "KUBECONFIG": f"{one}::{two}:{two}"}, home=home, service_account=account)
    assert found.host == "https://two"
    assert found.source == f"$KUBECONFIG ({two}), context 'a'"


def test_the_pods_account_wins_over_the_home_file(home: Path, account: Path):
    found = load(env=POD, home=home, service_account=account)
    assert found.host == "https://10.0.0.1:443"
    assert found.token_file == str(account / "token")
    assert found.ca_file == str(account / "ca.crt")
    assert found.namespace == "pod-ns"
    assert "in-cluster" in found.source


def test_the_home_file_is_last(home: Path, account: Path):
    assert load(env={}, home=home, service_account=account).host == "https://home"


def test_a_pod_on_ipv6_gets_brackets(home: Path, account: Path):
    env = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "POD_NAMESPACE": "env-ns"}
    found = load(env=env, home=home, service_account=account)
    assert found.host == "https://[fd00::1]:443"
    assert found.namespace == "env-ns"


def test_with_no_configuration_at_all_the_error_says_where_it_looked(tmp_path: Path):
    with pytest.raises(ConfigError) as found:
        load(env={}, home=tmp_path, service_account=tmp_path)
    for place in ("no kubeconfig is given", "$KUBECONFIG", "pod", str(tmp_path / ".kube" / "config")):
        assert place in str(found.value)


@pytest.mark.parametrize("how", ["given", "variable", "context"])
def test_an_explicit_kubeconfig_must_be_there(tmp_path: Path, account: Path, how: str):
    missing = str(tmp_path / "missing")
    arguments = {
        "given": {"kubeconfig": missing, "env": POD},
        "variable": {"env": {**POD, "KUBECONFIG": missing}},
        "context": {"context": "a", "env": POD},
    }[how]
    with pytest.raises(ConfigError, match="there is no kubeconfig"):
        load(**arguments, home=tmp_path, service_account=account)


def test_a_config_pickles_and_shows_no_secret():
    config = ClientConfig(
        "https://u:s3cret@h",
        token="s3cret",
        password="s3cret",
        key_data=b"s3cret",
        proxy_url="http://u:s3cret@p:1",
    )
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - our own bytes
    assert "s3cret" not in repr(config)
    assert "token='<redacted>'" in repr(config)
    assert "http://p:1" in repr(config)


def test_long_data_is_counted_and_not_shown_in_a_repr():
    assert "ca_data='<2000 bytes>'" in repr(ClientConfig("https://h", ca_data=b"x" * 2000))


@pytest.mark.parametrize("env", [{}, {"KUBERNETES_SERVICE_HOST": "h"}, {"KUBERNETES_SERVICE_PORT": "1"}])
def test_outside_of_a_pod_there_is_no_account(env: dict[str, str], account: Path):
    with pytest.raises(ConfigError, match="not in a cluster"):
        in_cluster(env, folder=account)


def test_a_pod_without_a_token_says_what_to_look_at(tmp_path: Path):
    with pytest.raises(ConfigError, match="automountServiceAccountToken"):
        in_cluster(POD, folder=tmp_path)


def test_a_pod_without_ca_and_namespace_files_still_works(tmp_path: Path):
    (tmp_path / "token").write_text("t")
    found = in_cluster(POD, folder=tmp_path)
    assert (found.ca_file, found.namespace) == ("", "default")
