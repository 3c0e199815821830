import pickle
import pwd
import re
from pathlib import Path
from typing import Any, NoReturn

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


def test_a_repr_shows_nothing_of_what_is_no_url():
    assert "s3cret" not in repr(ClientConfig("https://h", proxy_url="http://u:s3cret@[::1"))


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


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without $HOME whose user is not in the password file."""

    def unknown(uid: int) -> NoReturn:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.parametrize("how", ["given", "variable", "pod"])
def test_no_home_folder_is_needed_where_nothing_lies_in_it(
    homeless: None, tmp_path: Path, account: Path, how: str
):
    file = str(kubeconfig(tmp_path / "k", "there"))
    arguments = {
        "given": {"kubeconfig": file, "env": POD},
        "variable": {"env": {**POD, "KUBECONFIG": file}},
        "pod": {"env": POD},
    }[how]
    found = load(**arguments, service_account=account)
    assert found.host == ("https://10.0.0.1:443" if how == "pod" else "https://there")


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"env": {}}, "no cluster to talk to"),
        ({"env": {}, "context": "a"}, "no home folder is known"),
        ({"env": {}, "kubeconfig": "~/config"}, "'~/config': no home folder is known"),
        ({"env": {"KUBECONFIG": "~/a:/b"}}, r"\$KUBECONFIG: '~/a': no home folder is known"),
        ({"env": {"HOME": ""}, "context": "a"}, "no home folder is known"),
        (
            {"env": {}, "kubeconfig": "~nobody-of-that-name/config"},
            "'~nobody-of-that-name/config' is not known",
        ),
    ],
)
def test_a_home_folder_that_is_needed_and_not_known_is_one_clear_error(
    homeless: None, tmp_path: Path, arguments: dict[str, Any], place: str
):
    with pytest.raises(ConfigError, match=place) as found:
        load(**arguments, service_account=tmp_path)
    assert "\n" not in str(found.value)


def test_every_path_of_the_project_asks_for_a_home_folder_in_one_place():
    root = Path(__file__).parents[3]
    rooms = (
        "apiserver",
        "cli",
        "client",
        "common",
        "fifo",
        "handlers",
        "informer",
        "jetstream",
        "reflector",
        "src/deltawire",
    )
    asking = {
        str(path.relative_to(root))
        for room in rooms
        for path in (root / room).rglob("*.py")
        if re.search(r"\bexpanduser\(|Path\.home\(|\bgetpass\b|\bgetpwuid\(", path.read_text())
    }
    assert asking == {"common/home.py"}


def test_a_home_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(self: Path, *_: Any) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(ConfigError, match=r"/\.kube/config: cannot be read: Permission denied"):
        load(env={"HOME": str(tmp_path)}, service_account=tmp_path)
