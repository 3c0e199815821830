"""Files follow their ConfigMap, and the hook is run once for each change."""

import base64
import sys

import files
import pytest

from deltawire.handlers.testing import Harness


def config_map(data, *, labels=True):
    metadata = {"name": "conf", "namespace": "shop", "labels": {files.LABEL: ""} if labels else {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


@pytest.fixture
def harness(tmp_path, monkeypatch):
    # The hook writes down each run, and fails while there is a file named broken.
    hook = "import sys, pathlib; p = pathlib.Path(sys.argv[1]); open(p / 'ran', 'a').write('x'); "
    hook += "exit((p / 'broken').exists())"
    monkeypatch.setattr(files, "HOOK", [sys.executable, "-c", hook, str(tmp_path)])
    monkeypatch.setattr(files, "TO", tmp_path / "to")
    return Harness(files.handler)


def shown(tmp_path):
    return {path.name: path.read_text() for path in (tmp_path / "to").rglob("*") if path.is_file()}


def runs(tmp_path):
    return len((tmp_path / "ran").read_text()) if (tmp_path / "ran").exists() else 0


def test_files_come_change_and_go_with_their_config_map(harness, tmp_path):
    harness.apply(config_map({"a.conf": "1", "b.conf": "2"}))
    assert shown(tmp_path) == {"a.conf": "1", "b.conf": "2"}
    harness.apply(config_map({"a.conf": "3"}))
    harness.resync()
    assert (shown(tmp_path), runs(tmp_path)) == ({"a.conf": "3"}, 2)
    harness.apply(config_map({"a.conf": "3"}, labels=False))
    assert (shown(tmp_path), runs(tmp_path)) == ({}, 3)


def test_a_hook_that_fails_is_run_again(harness, tmp_path):
    (tmp_path / "broken").touch()
    assert [h.verdict for h in harness.apply(config_map({"a": "1"}))] == ["retry"]
    (tmp_path / "broken").unlink()
    assert [h.verdict for h in harness.advance(1)] == ["done"]
    assert (shown(tmp_path), runs(tmp_path)) == ({"a": "1"}, 2)


def test_a_name_that_would_leave_the_folder_is_a_dead_letter(harness, tmp_path):
    assert [h.verdict for h in harness.apply(config_map({"../../etc/passwd": "x"}))] == ["dead"]
    assert shown(tmp_path) == {}


def test_the_values_of_a_secret_are_decoded(monkeypatch):
    monkeypatch.setattr(files, "RESOURCE", "secrets")
    assert files.contents(config_map({"key": base64.b64encode(b"\x00s").decode()})) == {"key": b"\x00s"}
