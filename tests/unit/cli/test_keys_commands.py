"""What ``deltawire keys`` does to a folder, and what it refuses."""

from pathlib import Path

import pytest

from deltawire.cli import keys as commands
from deltawire.common.errors import ConfigError
from deltawire.common.wire.keys import KeyFolder, new_secret


def test_a_mistyped_owner_is_not_rotated_into_one_that_may_connect(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    commands.make(folder, ["handler/alerts"], ["main/pods"])
    before = folder.allowed()
    with pytest.raises(
        ConfigError, match=r"handler/alrets has no key .* .`deltawire keys new handler/alrets`"
    ):
        commands.rotate(folder, "handler/alrets")
    assert folder.allowed() == before
    assert [file.name for file in tmp_path.glob("*.secret")] == ["handler.alerts.secret"]


def test_a_rotated_key_may_read_what_the_former_one_might(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    commands.make(folder, ["handler/alerts"], ["main/pods"])
    pair, former = commands.rotate(folder, "handler/alerts")
    assert [entry.informers for entry in folder.allowed()] == [frozenset({"main/pods"})] * 2
    assert former[0].key != pair.public == folder.secret("handler/alerts").public


def test_a_key_is_rotated_where_its_secret_is_elsewhere_or_damaged(tmp_path: Path) -> None:
    folder, away = KeyFolder(tmp_path), new_secret()
    commands.allow(folder, "handler/away", away.public)
    assert commands.rotate(folder, "handler/away")[1][0].key == away.public
    folder.secret_path("cli").write_text("damaged")
    assert commands.rotate(folder, "cli")[1] == []
