"""The name of a state folder among the hosts of a pipeline."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from deltawire.common.store import host


def test_processes_that_begin_together_in_a_new_folder_have_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next process does not know its own lease, waits for it, and may lose it to another host."""
    both, names = threading.Barrier(2), iter(("a", "b"))

    def draw(count: int) -> str:
        try:
            # Of one that is alone this is the whole wait.
            both.wait(0.3)
        except threading.BrokenBarrierError:
            pass
        return next(names)

    monkeypatch.setattr(host, "secrets", SimpleNamespace(token_hex=draw))
    with ThreadPoolExecutor(2) as threads:
        found = set(threads.map(lambda _: host.host_of(tmp_path), range(2)))
    assert found == {host.host_of(tmp_path)}
