"""What a core says of itself to others, and what these make of it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.errors import ConfigError
from deltawire.handlers.asking import silence_hint
from deltawire.handlers.core import address_plan, describe, reached
from tests.support.keyed import make_keys

CONFIG: dict[str, Any] = {
    "version": 1,
    "clusters": {"dev": {"kubeconfig": "/home/me/.kube/config"}, "prod": {}},
    "store": {"dir": "/var/lib/deltawire", "shards": 8},
    "runtime": {"workers": 3, "dir": "/run/dw"},
    "network": {"keys": "/etc/keys", "endpoints": {"control": "core:7400", "worker-0": "core:7410"}},
    "informers": [{"resource": "pods", "indexes": {"by-node": ".spec.nodeName"}}],
    "handlers": [{"name": "a", "command": ["/bin/a"], "on": ["nodes"], "env": {"TOKEN": "hush"}}],
}


def test_from_its_description_others_find_the_same_shards_owners_and_informers() -> None:
    plan = Plan(parse(CONFIG))
    answer = msgspec.msgpack.decode(msgspec.msgpack.encode(describe(plan, {"dev": "team"})))
    there = Plan(msgspec.convert(answer["config"], Config))
    assert (there.shards, there.shard_owners, there.heartbeat_s) == (plan.shards, plan.shard_owners, plan.heartbeat_s)
    assert {name: one.options for name, one in there.informers.items()} == {
        name: msgspec.structs.replace(one.options, cluster=one.cluster) for name, one in plan.informers.items()
    }
    assert list(there.clusters) == ["dev", "prod"]
    assert answer["namespaces"] == {"dev": "team"}


def test_a_description_has_no_files_and_no_environment_and_leaves_defaults_out() -> None:
    answer = describe(Plan(parse(CONFIG)), {})
    text = str(answer)
    for hidden in ("hush", "/home/me", "/var/lib", "/run/dw", "/etc/keys"):
        assert hidden not in text
    assert "metrics" not in answer["config"]
    assert "window" not in answer["config"]["handlers"][0]


@pytest.mark.parametrize(
    ("core", "found"),
    [
        ("core:7400", {"worker-0": "core:7410", "worker-1": "other:7410"}),
        ("localhost:9000", {"worker-0": "localhost:7410", "worker-1": "other:7410"}),
        ("[::1]:7400", {"worker-0": "[::1]:7410", "worker-1": "other:7410"}),
    ],
)
def test_what_is_on_the_host_of_control_is_reached_where_control_is(core: str, found: dict[str, str]) -> None:
    endpoints = {"control": "core:7400", "worker-0": "core:7410", "worker-1": "other:7410"}
    there = reached(endpoints, core)
    assert {socket: there[socket] for socket in found} == found


def test_a_key_says_by_its_file_whose_it_is(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", ["reader/ann", "handler/alerts", "cli", "control"])
    for owner in ("reader/ann", "handler/alerts", "cli"):
        assert address_plan("core:7400", keys.secret_path(owner)).owner == owner


@pytest.mark.parametrize(
    ("core", "key", "says"),
    [
        ("core", "cli.secret", "--core: 'core' is not HOST:PORT"),
        ("core:0", "cli.secret", "is not HOST:PORT"),
        ("core:99999", "cli.secret", "is not HOST:PORT"),
        ("core:7400", None, "core:7400 is on another host, and no key is named .name yours with --key FILE"),
        ("core:7400", "allowed", "--key: .* is not a secret"),
        ("core:7400", "king.secret", "there is no file .*king.secret"),
        ("core:7400", "cli.me.secret", "cli/me has no key here"),
    ],
)
def test_an_address_or_a_key_that_cannot_be_used_is_named(
    tmp_path: Path, core: str, key: str | None, says: str
) -> None:
    keys = make_keys(tmp_path / "keys", ["cli"])
    with pytest.raises(ConfigError, match=says):
        address_plan(core, None if key is None else keys.folder / key)


def test_without_the_list_of_keys_it_says_where_to_copy_it(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", ["cli"])
    (keys.folder / "allowed").unlink()
    with pytest.raises(ConfigError, match=f"no list of keys beside .*copy the core's `allowed` to {keys.folder}"):
        address_plan("core:7400", keys.secret_path("cli"))


def test_a_key_that_is_not_there_is_said_to_be_missing_and_not_to_have_a_wrong_name(tmp_path: Path) -> None:
    (tmp_path / "king.secret").write_text("")
    for name, says in (("nope.secret", "there is no file .*nope.secret"), ("king.secret", "'king' cannot own a key")):
        with pytest.raises(ConfigError, match=says):
            address_plan("core:7400", tmp_path / name)


def test_where_nobody_answers_a_name_that_cannot_be_looked_up_is_named(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys", ["control", "reader"])
    for core, says in (("no-host.invalid:7400", "'no-host.invalid' cannot be looked up"), ("127.0.0.1:1", "start it")):
        assert says in silence_hint(address_plan(core, keys.secret_path("reader")))
