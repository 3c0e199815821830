"""Disks of NATS servers that are full, or lost with all that was on them: named, got over, and nothing is lost."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deltawire.common.store.host import host_of
from tests.support.nats_hosts import TwoHosts
from tests.support.nats_moves import is_content
from tests.support.nats_servers import NatsServers
from tests.support.pipeline import DELTAWIRE, Pipeline, running, wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("nats"),
]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """The folder is a disk of 80 MiB; skips where mounts are not allowed."""
    folder.mkdir(parents=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a disk of its own needs the rights of root in the machine or the container")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_servers_full_disk_is_named_and_with_room_and_a_restart_of_the_server_all_goes_on(tmp_path: Path):
    disk = tmp_path / "nats" / "nats-0" / "js"
    with small_disk(disk), NatsServers(tmp_path / "nats") as servers:
        engine = {"kind": "nats", "servers": servers.urls, "replicas": 1, "max_bytes": "64MiB"}
        with running(tmp_path, "--objects", "pods=40", "--churn", "30/s", engine=engine) as (
            server,
            pipeline,
        ):
            pipeline.wait_synced(60)
            ballast = disk / "ballast"
            with ballast.open("wb") as file:
                try:
                    while True:
                        file.write(bytes(64 * 1024))
                        file.flush()
                except OSError:
                    pass
            wait_until("that it is named", lambda: _queue_stands_still(pipeline), seconds=90, every_s=0.3)
            ballast.unlink()
            # JetStream is off on a server whose disk was full, until it is started again.
            servers.kill(0)
            servers.start(0)
            before = pipeline.offsets()
            wait_until("calls", lambda: all(pipeline.calls_since(before).values()), seconds=90)
            server.churn(0)
            verdict = pipeline.judge_in_the_end(60)
            assert verdict["complaints"] == 0, verdict


def _queue_stands_still(pipeline: Pipeline) -> Any:
    return pipeline.status().get("processes", {}).get("fifo", {}).get("error")


def test_the_only_server_loses_its_disk_and_groups_go_on_where_the_workers_disks_are(tmp_path: Path):
    """Queue, leases and archives are gone at once; what groups know is in the workers' own stores. The workers of the
    other host, with nothing on their disks, leave the places to those that had them."""
    with TwoHosts(tmp_path, archive=True) as hosts:
        hosts.wait_listed()
        for place in range(2):
            seen = hosts.state(1 - place) / f"worker-{place}.owner"
            wait_until("standbys that know for whom they wait", seen.exists, seconds=60)
        hosts.nats.lose(0)
        hosts.nats.start(0)
        # A worker whose archive is gone ends, as one that was replaced does, also after calls have gone on.
        workers = [name for name in hosts.names if name.startswith(("worker", "standby"))]
        wait_flowing(hosts, workers)
        is_content(hosts, supervise=workers)


def test_a_place_whose_archive_and_last_host_are_lost_is_named_and_begun_anew_by_an_order(tmp_path: Path):
    with TwoHosts(tmp_path, archive=True) as hosts:
        hosts.wait_listed()
        for place in range(2):
            seen = hosts.state(1 - place) / f"worker-{place}.owner"
            wait_until("standbys that know for whom they wait", seen.exists, seconds=60)
        lost, other = host_of(hosts.state(0)), host_of(hosts.state(1))
        # Host 0 has worker-0, and waits for worker-1. Its lease has not run out when the servers are lost.
        for name in ("worker-0", "standby-1"):
            hosts.kill(name)
        hosts.nats.lose(0)
        hosts.nats.start(0)

        left = ["worker-1", "standby-0"]

        def is_named() -> bool:
            hosts.revive(left)
            found = command(hosts, "list", "--json")
            place = json.loads(found.stdout or "{}").get("places", {}).get("worker-0", {})
            return place.get("host") == other and lost[:8] in place.get("waits_for", "") and found.returncode == 1

        wait_until("the host that is waited for", is_named, seconds=120, every_s=0.5)
        refused = command(hosts, "move", "worker-0", "--to", other)
        assert refused.returncode != 0
        assert f"deltawire shards move worker-0 --to {other[:8]} --anew" in refused.stderr
        told = command(hosts, "move", "worker-0", "--to", other, "--anew")
        assert told.returncode == 0, told.stderr
        assert "worker-0 has begun anew" in told.stdout
        wait_flowing(hosts, left)
        assert command(hosts, "list").returncode == 0


def wait_flowing(hosts: TwoHosts, names: list[str]) -> None:
    before = hosts.acknowledged()

    def flows() -> bool:
        hosts.revive(names)
        return all(count > before[name] for name, count in hosts.acknowledged().items())

    wait_until("calls of every handler", flows, seconds=120, every_s=0.3)


def command(hosts: TwoHosts, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DELTAWIRE), "shards", *words, "-c", str(hosts.config(1))],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
