"""``deltawire restore`` as a user types it."""

import gzip
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deltawire.cli.config_source import EFFECTIVE, named_plan
from deltawire.cli.main import app
from deltawire.common.clock import FakeClock
from deltawire.informer.archive import backup
from tests.support.machine import Machine


def test_restore_takes_the_users_config_and_not_that_of_what_ran_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deltawire.yaml").write_text("version: 1\nstore: {shards: 2}\n")
    made = io.BytesIO()
    backup.write(made, tmp_path / "nothing", 4, {}, FakeClock())
    Path("file").write_bytes(made.getvalue())
    runtime = named_plan(None).runtime_dir
    runtime.mkdir(mode=0o700, parents=True)
    try:
        store = {"dir": str(tmp_path / ".deltawire"), "shards": 4}
        (runtime / EFFECTIVE).write_text(json.dumps({"version": 1, "store": store}))
        done = CliRunner().invoke(app, ["restore", "file"])
    finally:
        (runtime / EFFECTIVE).unlink()
        runtime.rmdir()
    assert done.exit_code == 2, done.output
    assert "the backup is of 4 shards, the config says 2 (say store.shards: 4)" in done.output
    assert not list(tmp_path.glob(".deltawire/*/*/*/shard-*"))


def test_a_restore_that_was_refused_leaves_a_folder_that_a_right_one_can_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = io.BytesIO()
    backup.write(made, tmp_path / "nothing", 4, {}, FakeClock())
    Path("file").write_bytes(made.getvalue())
    for shards, code in ((2, 2), (4, 0)):
        Path("deltawire.yaml").write_text(f"version: 1\nstore: {{shards: {shards}}}\n")
        done = CliRunner().invoke(app, ["restore", "file"])
        assert done.exit_code == code, done.output


def test_half_a_backup_is_refused_and_nothing_of_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    machine = Machine(tmp_path / "first")
    machine.relist("100", ("a", "u1", "1"))
    machine.told("g")
    machine.close()
    made = io.BytesIO()
    backup.write(made, machine.folder, 1, {"dev": "c1"}, FakeClock())
    whole = gzip.decompress(made.getvalue())
    Path("deltawire.yaml").write_text("version: 1\nstore: {shards: 1}\n")
    # Without the number of shards at the end: the shard is filled by then.
    for data, code, says in ((whole[:-1], 2, "is cut"), (whole, 0, "1 shard with what handlers know of 1 object")):
        Path("file").write_bytes(gzip.compress(data))
        done = CliRunner().invoke(app, ["restore", "file"])
        assert done.exit_code == code, done.output
        assert says in done.output
