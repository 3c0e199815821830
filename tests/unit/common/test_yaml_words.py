"""YAML from any part of the project is read as the same text by Go's clients and by PyYAML."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deltawire.apiserver.auth.kubeconfig import Credentials, kubeconfig, write_kubeconfig
from deltawire.apiserver.http.render import to_yaml
from deltawire.cli.output.documents import yaml_lines
from deltawire.client.config import yaml_text
from tests.support.servers import Kubectl, require_kubectl
from tests.support.yaml_cases import ODD_WORDS

WORDS = (*ODD_WORDS, "a")


def both(text: str) -> list[Any]:
    """As Go's clients and as PyYAML read it."""
    return [yaml_text.load(text.encode()), yaml.safe_load(text)]


@pytest.mark.parametrize("word", WORDS)
def test_a_text_stays_a_text_in_what_the_server_and_the_commands_write(word: str) -> None:
    tree = {"metadata": {"annotations": {"a": word, word: "b"}}}
    assert both(to_yaml(tree).decode()) == [tree, tree]
    assert both("\n".join(yaml_lines([tree], is_one=True))) == [tree, tree]


@pytest.mark.parametrize("word", WORDS[:-1])
def test_a_kubeconfig_names_users_and_tokens_so_that_both_read_them(word: str, tmp_path: Path) -> None:
    config = kubeconfig("http://127.0.0.1:1", Credentials(name=word or "x", token=word))
    write_kubeconfig(tmp_path / "kubeconfig", config)
    assert both((tmp_path / "kubeconfig").read_text()) == [config, config]


def test_kubectl_reads_them_so(tmp_path: Path) -> None:
    require_kubectl()
    names = [word for word in WORDS if word]
    config = kubeconfig("http://127.0.0.1:1", *(Credentials(name=word, token=word) for word in names))
    write_kubeconfig(tmp_path / "kubeconfig", config)
    kubectl = Kubectl(tmp_path / "kubeconfig", tmp_path)
    read = yaml.safe_load(kubectl.run("config", "view", "--raw", "-o", "json").stdout)
    assert sorted(user["name"] for user in read["users"]) == sorted(names)
    assert {user["name"]: user["user"]["token"] for user in read["users"]} == {name: name for name in names}
