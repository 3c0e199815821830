"""P8 by what stops an informer: rights, refused watches, an API server that is away, max_bytes, a full disk, damage.

Nothing is claimed while it lasts, each face says why, and each comes back by itself when the cause is gone.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from tests.support.pipeline import wait_until
from tests.support.stage import POD, PODS, SLACK_S, STOP_S, Guarded, Stage, made, pass_time, stage

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("readiness-causes"), pytest.mark.timeout(400)]

INFORMER = "dev/pods"
# A watch that ended is being opened again for so long before it counts as lost (deltawire.reflector.proof).
REOPEN_S = 2.0
PAD = "x" * 60_000


@pytest.fixture(scope="module")
def guarded() -> Iterator[Stage]:
    with (
        tempfile.TemporaryDirectory(prefix="dw-") as text,
        stage(Path(text).resolve(), is_guarded=True) as up,
    ):
        yield up


def cell(
    up: Stage, begin: Callable[[], object], end: Callable[[], object], *, why: str, is_lister_stale: bool
) -> dict[str, Any]:
    """Let it happen, look, mend it, and wait until all is well. The status while it lasted."""
    up.wait_ready()
    begin()
    try:
        wait_until("it to show", lambda: not up.is_ready(), seconds=60)
        name, written_s = up.change()
        shows_s = pass_time(STOP_S + SLACK_S)  # in every face from then on
        pass_time(SLACK_S)
        up.judge_commands(f"unknown: {why}")
        found = up.status()
        until_s = time.monotonic()
    finally:
        end()
    up.wait_ready(120)
    assert up.is_handled(name), "ready again before what happened meanwhile was handled"
    up.judge(name, written_s, shows_s, until_s)
    if is_lister_stale:
        up.judge_lister(name, written_s, shows_s, until_s)
    else:
        up.judge_claims_of_lister(name, written_s)
    return found


def test_an_informer_whose_rights_are_taken_away_is_unready_in_every_face_until_they_are_back(
    guarded: Stage,
) -> None:
    server = guarded.server.chaos
    found = cell(guarded, server.forbid, server.grant, why="stream * is not watched (", is_lister_stale=False)
    stream = found["streams"][f"{INFORMER}@*"]
    assert (stream["watching"], stream["error_code"]) == (False, "403")


@pytest.mark.long
def test_an_informer_whose_watches_are_refused_is_unready_in_every_face_until_they_are_not(
    guarded: Stage,
) -> None:
    def refuse() -> None:
        guarded.server.admin("POST", "faults", kind="error", value=403, verb="watch", resource="pods")
        guarded.server.admin("POST", "cut")

    def accept() -> None:
        guarded.server.chaos.admin("DELETE", "faults")

    cell(guarded, refuse, accept, why="stream * is not watched (", is_lister_stale=False)


@pytest.mark.parametrize(
    ("how", "refusals"),
    [("kill", 0), *(pytest.param(*case, marks=pytest.mark.long) for case in (("kill", 1), ("stop", 0)))],
)
def test_an_api_server_that_starts_again_under_rbac_is_watched_again_without_a_list(
    guarded: Stage, how: str, refusals: int
) -> None:
    """Killed hard or ended, with its data. ``refusals``: at first it does not say who it is."""
    server = guarded.server.chaos
    guarded.wait_ready()
    before = guarded.status()
    getattr(server, how)()
    shows_s = pass_time(REOPEN_S + STOP_S + SLACK_S)  # it is away
    pass_time(SLACK_S)
    assert not guarded.is_ready()
    until_s = time.monotonic()
    server.start()
    if refusals:
        path = "/api/v1/namespaces/kube-system"
        guarded.server.admin("POST", "faults", kind="error", value=403, path=path, count=refusals)
    name, written_s = guarded.change()
    guarded.wait_ready(240)
    assert guarded.is_handled(name), "ready again before what happened meanwhile was handled"
    guarded.judge(name, written_s, shows_s, until_s)
    guarded.judge_claims_of_lister(name, written_s)
    after = guarded.status()
    assert after["totals"]["lists"] == before["totals"]["lists"]
    assert after["clusters"]["dev"]["id"] == before["clusters"]["dev"]["id"]
    assert {s["state"] for s in after["streams"].values()} == {"watching"}
    asked = guarded.server.admin("GET", "requests")["requests"]
    lists = [
        r
        for r in asked
        if r["user_agent"].startswith("deltawire-reflector")
        and (r["verb"] == "list" or "sendInitialEvents" in r["query"])
    ]
    assert lists == []


@pytest.mark.long
def test_an_informer_without_rights_from_the_start_claims_nothing_until_it_has_them() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        folder = Path(text).resolve()
        server = Guarded(folder)
        server.chaos.forbid()
        with made(folder, server) as up:
            wait_until("a status", up.status, seconds=60)
            wait_until(
                "the refusal",
                lambda: up.status()["streams"].get(f"{INFORMER}@*", {}).get("error_code") == "403",
                seconds=60,
            )
            name, written_s = up.change()
            pass_time(STOP_S + 2 * SLACK_S)
            found = up.run("get", "pods")
            assert (found.returncode, found.stdout) == (2, ""), "there is no cache yet"
            assert "not ready" in up.run("status").stdout.splitlines()[0]
            assert up.status()["informers"][INFORMER]["why"].startswith("stream * is not watched (")
            assert not any(sample.is_ready for sample in up.faces.samples)
            assert not any(sample.is_ready for sample in up.faces.statuses)
            assert not any(answer["is_fresh"] for answer in up.asked())
            server.chaos.grant()
            up.wait_ready(120)
            assert up.is_handled(name)
            up.judge_claims_of_lister(name, written_s)


def fill_until_error(up: Stage) -> list[str]:
    """Large pods, one after the other, until the informer stands still. Their names."""
    names: list[str] = []

    def grow() -> bool:
        if up.status()["informers"][INFORMER]["error"]:
            return True
        name = f"large-{len(names)}"
        meta = {"name": name, "namespace": "default", "annotations": {"pad": PAD}}
        up.server.call("POST", PODS, json=POD | {"metadata": meta})
        names.append(name)
        return False

    wait_until("it to be full", grow, seconds=120, every_s=0.3)
    return names


@pytest.mark.long
def test_an_informer_over_max_bytes_is_unready_in_every_face_until_there_is_room() -> None:
    options = {"informers": [{"resource": "pods", "max_bytes": "6MiB"}]}
    with tempfile.TemporaryDirectory(prefix="dw-") as text, stage(Path(text).resolve(), **options) as up:
        names: list[str] = []

        def make_room() -> None:
            for name in names:
                up.server.call("DELETE", f"{PODS}/{name}")

        found = cell(
            up,
            lambda: names.extend(fill_until_error(up)),
            make_room,
            why=f"{INFORMER}",
            is_lister_stale=True,
        )
        assert "its bound is" in found["informers"][INFORMER]["error"]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own; the test is skipped where none may be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.long
def test_an_informer_on_a_full_disk_is_unready_in_every_face_until_there_is_room() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        folder = Path(text).resolve()
        with small_disk(folder / "disk") as disk, stage(folder, store={"dir": str(disk / "state")}) as up:
            ballast = disk / "ballast"

            def fill() -> None:
                with ballast.open("wb", buffering=0) as file:
                    try:
                        while True:
                            file.write(bytes(4096))
                    except OSError:
                        pass  # full
                fill_until_error(up)

            found = cell(up, fill, ballast.unlink, why="", is_lister_stale=True)
            assert "is full" in found["informers"][INFORMER]["error"]


@pytest.mark.long
def test_a_worker_that_finds_its_caches_damaged_claims_nothing_until_they_are_made_anew() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text, stage(Path(text).resolve()) as up:
        state = up.pipeline.folder / "state"
        plan = Plan(load(up.pipeline.folder / "config.json"))
        shards = [shard for _, shard in plan.shards_of_worker(0)]
        files = [file for shard in shards for file in state.glob(f"**/shard-{shard}/data.mdb")]
        assert files
        before = up.status()["totals"]["lists"]
        pid = up.pipeline.pids()["worker-0"]
        os.kill(pid, signal.SIGSTOP)
        for file in files:
            with file.open("r+b") as opened:
                opened.write(bytes(8192))
        os.kill(pid, signal.SIGKILL)
        since_s = time.monotonic()
        name, written_s = up.change()
        wait_until("the list", lambda: up.status()["totals"]["lists"] > before, seconds=60)
        up.wait_ready(120)
        assert up.is_handled(name)
        up.judge(name, written_s, since_s, since_s)
        up.judge_claims_of_lister(name, written_s)


@pytest.mark.long
def test_a_damaged_memory_of_the_clusters_ids_stops_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text, stage(Path(text).resolve()) as up:
        assert up.pipeline.down() == 0
        (up.pipeline.folder / "state" / "clusters.json").write_bytes(b'{"dev": "c')
        name, written_s = up.change()
        up.pipeline.up()
        up.wait_ready(120)
        assert up.is_handled(name)
        up.judge_claims_of_lister(name, written_s)
