"""``deltawire keys`` as a user types it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deltawire.cli.keys import problems
from deltawire.cli.main import app
from deltawire.common.wire.keys import Allowed, KeyFolder, new_secret

CONFIG = """
version: 1
network: {keys: keys, endpoints: {worker-0: "core:7410"}}
handlers: [{name: alerts, command: ["true"], on: [pods]}]
"""
OWNERS = ["control", "fifo", "reflector-0", "worker-0", "worker-1", "handler/alerts", "cli"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyFolder:
    (tmp_path / "deltawire.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return KeyFolder(tmp_path / "keys")


def keys(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["keys", *words])
    assert done.exit_code == code, done.output
    return done.output


def test_all_that_the_config_needs_is_made_once(folder: KeyFolder) -> None:
    keys("new")
    assert [entry.owner for entry in folder.allowed()] == OWNERS
    before = folder.allowed()
    assert "all are there" in keys("new")
    assert folder.allowed() == before


def test_a_handlers_key_may_be_bound_to_informers(folder: KeyFolder) -> None:
    keys("new", "handler/alerts", "--informers", "main/pods,main/nodes")
    [entry] = folder.allowed()
    assert entry.informers == {"main/pods", "main/nodes"}
    keys("allow", "handler/alerts", entry.key, "--informers", "main/pods")
    assert folder.allowed() == [Allowed("handler/alerts", entry.key, frozenset({"main/pods"}))]
    assert "only handlers and readers have" in keys("new", "fifo", "--informers", "main/pods", code=2)


def test_the_list_says_what_each_key_may_read_and_whose_secret_is_here(folder: KeyFolder) -> None:
    assert "No keys are allowed" in keys("list")
    keys("new", "fifo")
    elsewhere = new_secret().public
    keys("allow", "handler/alerts", elsewhere)
    lines = [line.split() for line in keys("list").splitlines()]
    assert lines == [
        ["OWNER", "KEY", "INFORMERS", "SECRET"],
        ["fifo", folder.secret("fifo").public, "-", "here"],
        ["handler/alerts", elsewhere, "all", "-"],
    ]


def test_a_rotated_key_keeps_what_it_may_read_and_the_former_one_stays_until_it_is_revoked(
    folder: KeyFolder,
) -> None:
    keys("new", "handler/alerts", "--informers", "main/pods")
    former = folder.secret("handler/alerts").public
    output = keys("rotate", "handler/alerts")
    new = folder.secret("handler/alerts").public
    assert new != former
    assert f"keys revoke '{former}'" in output
    assert [(e.key, e.informers) for e in folder.allowed()] == [(former, {"main/pods"}), (new, {"main/pods"})]
    keys("revoke", former)
    assert [entry.key for entry in folder.allowed()] == [new]


def test_revoking_by_owner_takes_all_its_keys(folder: KeyFolder) -> None:
    keys("new")
    keys("rotate", "worker-0")
    assert keys("revoke", "worker-0").count("revoked worker-0 ") == 2
    assert "worker-0" not in [entry.owner for entry in folder.allowed()]
    assert "no key of 'worker-0' is allowed" in keys("revoke", "worker-0", code=2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["new", "king"], "'king' cannot own a key"),
        (["allow", "fifo", "short"], "is not one: a public key has 40 characters"),
        (["rotate", "handler/"], "'handler/' cannot own a key"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(folder: KeyFolder, words: list[str], says: str) -> None:
    assert says in keys(*words, code=2)
    assert folder.allowed() == []


def test_without_a_folder_of_keys_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "deltawire.yaml").write_text("version: 1\n")
    assert "network.keys: the config names no folder of keys" in keys("list", code=2)


def test_a_revoked_key_is_not_said_to_be_there_it_is_named_with_the_command(folder: KeyFolder) -> None:
    keys("new")
    keys("revoke", "worker-0")
    output = keys("new", code=1)
    assert "all are there" not in output
    assert f"deltawire keys allow worker-0 '{folder.secret('worker-0').public}'" in output


def test_the_command_for_a_missing_key_makes_it_also_where_the_config_does_not_name_the_handler(
    folder: KeyFolder,
) -> None:
    keys("new")
    [said] = problems(folder, ["handler/alerts", "handler/hello"])
    assert "`deltawire keys new handler/hello`" in said
    keys("new", "handler/hello")
    assert not list(problems(folder, ["handler/hello"]))
    (folder.folder / "fifo.secret").unlink()
    assert "(`deltawire keys new` makes what is missing)" in next(problems(folder, ["fifo", "handler/x"]))
