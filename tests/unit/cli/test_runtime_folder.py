"""Files of the runtime folder: whole, and ours alone."""

import stat
import threading
from pathlib import Path

from deltawire.cli import runtime_folder


def test_whoever_reads_a_file_finds_all_of_it_or_what_was_there_before(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    runtime_folder.write(file, b"x" * 100_000)
    stop, found = threading.Event(), set[int]()

    def read() -> None:
        while not stop.is_set():
            found.add(len(file.read_bytes()))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        runtime_folder.write(file, b"x" * (100_000 + number % 2))
    stop.set()
    reader.join()
    assert found <= {100_000, 100_001}
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_file_is_ours_alone(tmp_path: Path) -> None:
    runtime_folder.write(tmp_path / "config.json", b"{}")
    assert stat.S_IMODE((tmp_path / "config.json").stat().st_mode) == 0o600
