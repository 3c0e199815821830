"""Folders of state and sockets are ours alone: made so, closed, or refused."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.cli import runtime_folder
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import StateError
from deltawire.common.store import folder as state_folder

UMASKS = [0, 0o022, 0o077]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def prepare_state(folder: Path) -> None:
    state_folder.prepare(folder, 4)


PREPARES = [prepare_state, runtime_folder.prepare]


@pytest.fixture
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize("umask", UMASKS, indirect=True, ids=oct)
@pytest.mark.parametrize("prepare", PREPARES)
def test_a_new_folder_is_0700_whatever_the_umask_is(tmp_path: Path, prepare, umask) -> None:
    prepare(tmp_path / "new")
    assert mode_of(tmp_path / "new") == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o750, 0o1777, 0o2770])
@pytest.mark.parametrize("prepare", PREPARES)
def test_a_folder_that_exists_and_is_ours_is_closed_to_others(tmp_path: Path, prepare, mode: int) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    folder.chmod(mode)
    prepare(folder)
    assert mode_of(folder) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("prepare", PREPARES)
def test_a_folder_of_somebody_else_is_refused_and_left_as_it_is(tmp_path: Path, prepare) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    os.chown(folder, 12345, 12345)
    with pytest.raises(StateError, match="belongs to user 12345, not to you"):
        prepare(folder)
    assert mode_of(folder) == 0o755
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_link_at_the_runtime_folder_is_refused_and_not_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere").chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(StateError, match="it is a symbolic link"):
        runtime_folder.prepare(tmp_path / "link")
    assert mode_of(tmp_path / "elsewhere") == 0o755
    assert not (tmp_path / "nowhere").exists()


def test_a_link_that_the_config_names_as_the_runtime_folder_is_not_resolved_away(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    plan = Plan(parse({"version": 1, "runtime": {"dir": str(tmp_path / "link")}}))
    assert plan.runtime_dir == tmp_path / "link"
    with pytest.raises(StateError, match="it is a symbolic link"):
        runtime_folder.prepare(plan.runtime_dir)


def test_links_above_the_runtime_folder_are_the_machines_own(tmp_path: Path) -> None:
    """As /tmp, or /var/run, may be one."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    plan = Plan(parse({"version": 1, "runtime": {"dir": str(tmp_path / "link" / "run")}}))
    runtime_folder.prepare(plan.runtime_dir)
    assert mode_of(tmp_path / "elsewhere" / "run") == 0o700


def test_a_default_runtime_folder_that_somebody_has_made_a_link_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    plan = Plan(parse({"version": 1, "store": {"dir": str(tmp_path / "state")}}))
    (tmp_path / "elsewhere").mkdir()
    plan.runtime_dir.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="it is a symbolic link"):
        runtime_folder.prepare(plan.runtime_dir)


@pytest.mark.parametrize("prepare", PREPARES)
def test_a_file_in_the_folders_place_is_named(tmp_path: Path, prepare) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=f"{tmp_path / 'file'} cannot be used"):
        prepare(tmp_path / "file")


def test_what_is_made_in_the_block_is_ours_alone_and_the_umask_comes_back() -> None:
    before = os.umask(0)
    try:
        with runtime_folder.owner_only() as outside, tempfile.TemporaryDirectory() as folder:
            assert outside == 0
            (Path(folder) / "file").touch()
            assert mode_of(Path(folder) / "file") == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(before)
