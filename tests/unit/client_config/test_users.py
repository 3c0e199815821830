import base64
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.effective import effective
from deltawire.client.config.identity import ExecPlugin, Impersonation, OidcProvider
from deltawire.client.config.kubeconfig import parse
from deltawire.common.errors import ConfigError

FILE = Path("/k/config")
V1, V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"
EXEC = {"apiVersion": V1, "command": "get-token", "interactiveMode": "Never"}


def taken(user: dict[str, Any], server: str = "https://h", **cluster: Any) -> ClientConfig:
    content = {
        "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    return effective(parse(json.dumps(content).encode(), FILE), source="test")


def test_an_exec_plugin_is_taken_whole():
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    config = taken(
        {
            "exec": {
                "apiVersion": V1BETA1,
                "command": "get-token",
                "args": ["-a"],
                "env": [{"name": "A", "value": "1"}],
                "installHint": "apt\n\x1b[31mget",
                "provideClusterInfo": True,
            }
        },
        extensions=[{"name": "other", "extension": 1}, extension],
    )
    assert config.exec_plugin == ExecPlugin(
        "get-token",
        ("-a",),
        (("A", "1"),),
        V1BETA1,
        "IfAvailable",
        True,
        b'{"audience":"x"}',
        "apt U+001B[31mget",
        "/k/config: users[0].user.exec",
    )
    assert config.identity == "the exec plug-in 'get-token'"
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("bare", "bare"),
        ("./bin/x", "/k/bin/x"),
        ("bin/x", "/k/bin/x"),
        ("/abs/x", "/abs/x"),
        ("~/x", "/home/ada/x"),
    ],
)
def test_a_command_with_a_slash_is_meant_from_its_file(
    command: str, found: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", "/home/ada")
    plugin = taken({"exec": {**EXEC, "command": command}}).exec_plugin
    assert plugin is not None
    assert plugin.command == found


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"command": ""}, "exec.command", "no command"),
        ({"apiVersion": ""}, "exec.apiVersion", "no version"),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "exec.apiVersion", "v1alpha1"),
        ({"interactiveMode": ""}, "exec.interactiveMode", "is missing"),
        ({"interactiveMode": "Sometimes"}, "exec.interactiveMode", "'Sometimes'"),
        ({"env": [{"name": "A"}, {"value": "s3cret"}]}, "exec.env[1].name", "no name"),
    ],
)
def test_a_mistake_in_a_plugin_is_named_with_its_field(change: dict[str, Any], field: str, text: str):
    with pytest.raises(ConfigError, match=text) as found:
        taken({"exec": {**EXEC, **change}})
    assert found.value.path == f"/k/config: users[0].user.{field}"
    assert "s3cret" not in str(found.value)


def test_two_ways_to_ask_for_a_token_are_a_mistake():
    with pytest.raises(ConfigError, match="both an exec plug-in and an auth-provider"):
        taken({"exec": EXEC, "auth-provider": {"name": "oidc"}})


def test_somebody_to_act_as_is_taken_whole():
    config = taken(
        {"token": "t", "as": "ada", "as-uid": "7", "as-groups": ["g"], "as-user-extra": {"k": ["v"]}}
    )
    assert config.impersonate == Impersonation("ada", "7", ("g",), (("k", ("v",)),))
    assert config.identity == "a token, acting as 'ada'"


def test_acting_as_somebody_needs_no_tls_and_credentials_do():
    config = taken({"token": "t", "exec": EXEC, "as": "ada"}, server="http://h")
    assert (config.token, config.exec_plugin) == ("", None)
    assert config.impersonate.user == "ada"


@pytest.mark.parametrize("detail", [{"as-uid": "7"}, {"as-groups": ["g"]}, {"as-user-extra": {"k": ["v"]}}])
def test_details_of_nobody_are_a_mistake(detail: dict[str, Any]):
    with pytest.raises(ConfigError, match="need a user to act as"):
        taken(detail)


@pytest.mark.parametrize(
    ("name", "config", "plugin", "args"),
    [
        ("gcp", {"access-token": "s3cret"}, "gke-gcloud-auth-plugin", None),
        (
            "azure",
            {"tenant-id": "T", "client-id": "C", "apiserver-id": "S", "access-token": "s3cret"},
            "kubelogin",
            "get-token --environment AzurePublicCloud --server-id S --client-id C --tenant-id T",
        ),
        ("openstack", {"password": "s3cret"}, "client-keystone-auth", None),
    ],
)
def test_a_removed_auth_provider_names_its_plugin_and_a_stanza_that_works(
    name: str, config: dict[str, str], plugin: str, args: str | None
):
    with pytest.raises(ConfigError, match=f"{name!r} of the user 'u' was removed") as found:
        taken({"auth-provider": {"name": name, "config": config}})
    assert found.value.path == "/k/config: users[0].user.auth-provider"
    assert f"install {plugin}" in str(found.value)
    assert "s3cret" not in str(found.value)
    assert "\n" not in str(found.value)
    stanza = found.value.hint.partition("put this in its place: ")[2]
    pasted = taken(yaml.safe_load(stanza)["user"]).exec_plugin  # what a person does with it
    assert pasted is not None
    assert pasted.command == plugin
    if args is not None:
        assert " ".join(pasted.args) == args


def test_an_unknown_auth_provider_is_a_mistake():
    with pytest.raises(ConfigError, match="'mine' of the user 'u' is not known"):
        taken({"auth-provider": {"name": "mine"}})


def test_an_oidc_provider_is_taken_whole():
    ca = base64.b64encode(b"idp ca").decode()
    config = taken(
        {
            "auth-provider": {
                "name": "oidc",
                "config": {
                    "idp-issuer-url": "https://idp",
                    "client-id": "me",
                    "client-secret": "s3cret",
                    "idp-certificate-authority-data": ca,
                    "id-token": "s3cret",
                    "refresh-token": "s3cret",
                },
            }
        }
    )
    assert config.oidc == OidcProvider(
        "https://idp", "me", "s3cret", "", b"idp ca", "s3cret", "s3cret", "/k/config", "u"
    )
    assert config.identity == "OIDC tokens of https://idp"
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize("missing", ["idp-issuer-url", "client-id"])
def test_an_oidc_provider_needs_an_issuer_and_a_client(missing: str):
    config = {"idp-issuer-url": "https://idp", "client-id": "me"}
    del config[missing]
    with pytest.raises(ConfigError, match=f"oidc needs {missing}"):
        taken({"auth-provider": {"name": "oidc", "config": config}})


def test_an_unknown_home_folder_is_a_mistake_and_no_crash():
    with pytest.raises(ConfigError, match="home folder"):
        taken({"tokenFile": "~no-such-user-here/token"})


def test_a_parsed_file_shows_no_secret():
    content = (
        b"users: [{name: u, user: {token: s3cret, password: s3cret, exec: {command: c, args: [s3cret]}}}]"
    )
    assert "s3cret" not in repr(parse(content, FILE))


def test_a_kubeconfig_of_aliases_of_aliases_is_refused_before_it_fills_the_memory():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="/k/config: not YAML"):
        parse("\n".join(lines).encode(), FILE)


def test_what_an_extension_holds_reaches_the_plugin_as_it_is():
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"a": None, "b": [None], "c": 1.5}}
    plugin = taken({"exec": {**EXEC, "provideClusterInfo": True}}, extensions=[extension]).exec_plugin
    assert plugin is not None
    assert json.loads(plugin.cluster_config) == extension["extension"]
