"""``deltawire run --reload``: a changed file takes over, a broken one changes nothing."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from deltawire.cli.reload import affected, changed_files, stamps
from deltawire.common.config.load import parse
from tests.support.pipeline import DELTAWIRE, descendants, is_alive, wait_until

PLUGIN = """
from pathlib import Path

from deltawire import Handler
from words import WORD

handler = Handler("seen")


@handler.on_update("pods", old=False)
def seen(pod, event):
    with Path("{calls}").open("a") as file:
        file.write(WORD + " {version}\\n")
"""


def test_a_changed_plug_in_or_a_file_beside_it_concerns_its_handlers(tmp_path: Path) -> None:
    one, two = tmp_path / "one.py", tmp_path / "a" / "two.py"
    two.parent.mkdir()
    for file in (one, two, two.parent / "helper.py"):
        file.write_text("")
    handlers = [{"name": path.stem, "run": str(path), "on": ["pods"]} for path in (one, two)]
    config = parse({"version": 1, "handlers": handlers})
    before = stamps([one, two])
    (two.parent / "helper.py").write_text("changed = 1")
    changed = changed_files(before, stamps([one, two]))
    assert changed == {two.parent / "helper.py"}
    assert affected(config, {one, two}, changed) == ["two"]
    assert affected(config, {one, two}, {one}) == ["one"]
    one.unlink()
    assert changed_files(before, stamps([one, two])) == {one, two.parent / "helper.py"}


@pytest.mark.process
@pytest.mark.long
@pytest.mark.xdist_group("changes")
@pytest.mark.timeout(180)
def test_new_code_takes_over_while_it_runs_and_a_syntax_error_keeps_the_old_one() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        folder = Path(text)
        plugin, calls, log = folder / "mine.py", folder / "calls", folder / "log"

        def write(version: int) -> None:
            plugin.write_text(PLUGIN.format(calls=calls, version=version))

        def last() -> str:
            return calls.read_text().splitlines()[-1] if calls.exists() and calls.stat().st_size else ""

        (folder / "words.py").write_text("WORD = 'hello'\n")
        write(1)
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(DELTAWIRE), "run", str(plugin), "--embedded", "--reload", "--objects", "pods=3", "--churn", "10/s",
                 "--store", str(folder / "state")], stdout=out, stderr=out,
            )  # fmt: skip
        try:
            wait_until("the first code", lambda: last() == "hello 1", seconds=90)
            write(2)
            wait_until("the second code", lambda: last() == "hello 2", seconds=60)
            plugin.write_text("def broken(:\n")
            wait_until("the complaint", lambda: "not reloaded" in log.read_text(), seconds=60)
            assert "mine.py:1: syntax error" in log.read_text()
            before = len(calls.read_text())
            wait_until("the old code to go on", lambda: len(calls.read_text()) > before, seconds=60)
            assert last() == "hello 2"
            write(3)
            wait_until("the mended code", lambda: last() == "hello 3", seconds=60)
            (folder / "words.py").write_text("WORD = 'good evening'\n")
            wait_until("the file beside it", lambda: last() == "good evening 3", seconds=60)
            processes = descendants(process.pid)
            process.terminate()
            assert process.wait(60) == 0
            wait_until("the end of all", lambda: not any(map(is_alive, processes)))
        finally:
            print(log.read_text())
            process.kill()
            process.wait()
