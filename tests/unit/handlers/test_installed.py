"""Handlers that installed packages bring along are run by their names."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.cli.config_source import of_plugins
from deltawire.common.errors import ConfigError, PluginError
from deltawire.handlers import installed
from deltawire.handlers.loader import load

CODE = """
from deltawire import Handler

handler = Handler("audit-pods")


@handler.on_add("pods")
def added(pod): ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with an entry point, as pip leaves it."""
    (tmp_path / "brought_along.py").write_text(CODE)
    info = tmp_path / "brought_along-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought-along\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[deltawire.handlers]\naudit = brought_along\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    # For the process that describes plug-ins.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    installed.installed.cache_clear()
    yield
    installed.installed.cache_clear()
    sys.modules.pop("brought_along", None)


@pytest.mark.usefixtures("package")
def test_an_entry_point_is_loaded_by_its_name() -> None:
    assert installed.installed()["audit"] == "brought_along"
    assert [handler.name for handler in load("audit")] == ["audit-pods"]
    config = of_plugins([Path("audit")])
    assert [(handler.name, handler.run) for handler in config.handlers] == [("audit-pods", "audit")]


def test_a_name_that_nothing_has_is_told_with_where_to_look() -> None:
    with pytest.raises(PluginError, match=r"no module named 'nobodys_audit', nor an installed handler"):
        load("nobodys_audit")
    with pytest.raises(ConfigError, match="there is no file nobodys_audit"):
        of_plugins([Path("nobodys_audit")])
