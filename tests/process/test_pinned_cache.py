"""P5, P7: a handler that holds an old state of the cache is ended before the cache has grown without bound."""

import sys
import time
from pathlib import Path

import pytest

from tests.support import pinning_handler
from tests.support.pipeline import RECORDER, running, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120), pytest.mark.xdist_group("faults")]
# Over ten seconds in which nothing is freed: 4,000 writes of a few KB each, in all shards together.
GROWN_BYTES_MAX = 100_000_000


def stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.glob("*/*/*/shard-*/data.mdb"))


def test_a_handler_that_pins_the_cache_is_killed_and_the_others_go_on(tmp_path: Path) -> None:
    store, mark, calls = tmp_path / "state", tmp_path / "pinned", tmp_path / "latest.calls"
    pins = [sys.executable, pinning_handler.__file__, str(store), str(mark)]
    records = [sys.executable, str(RECORDER), str(calls)]
    handlers = [
        {"name": "pins", "command": pins, "on": ["pods"]},
        {"name": "latest", "command": records, "on": ["pods"]},
    ]
    with running(tmp_path, "--objects", "pods=50", "--churn", "100/s", handlers=handlers) as (_, pipeline):
        wait_until("the cache to be pinned", mark.exists, seconds=30)
        before = pipeline.pids()["latest-0"]

        def killed() -> dict[str, str]:
            found = pipeline.status().get("processes", {}).get("pins-0", {})
            return found if found.get("restarts") and found["state"] == "ready" else {}

        heard = calls.stat().st_size
        process = wait_until("the handler to be killed and started again", killed, seconds=40, every_s=0.5)
        assert process["last_end"] == "killed by SIGKILL: it held an old state of the cache of dev/pods"
        assert pipeline.log.count("pins-0 is killed: its process") == 1
        assert calls.stat().st_size > heard, "the other group was not waited for"
        assert pipeline.pids()["latest-0"] == before
        grown = stored_bytes(store)
        assert grown < GROWN_BYTES_MAX
        time.sleep(3)  # the point is that time passes, with writes, and the freed pages are used again
        assert stored_bytes(store) - grown < 1_000_000
        assert pipeline.answer()["informers"]["dev/pods"]["warning"] == ""
