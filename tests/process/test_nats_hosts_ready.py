"""P8 over hosts: `deltawire status` on one host says whether all is ready on all of them, and who is not heard."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deltawire.common.store.host import host_of
from tests.support.nats_hosts import TwoHosts
from tests.support.pipeline import DELTAWIRE, wait_until

pytestmark = [pytest.mark.process, pytest.mark.long, pytest.mark.timeout(300), pytest.mark.xdist_group("nats")]

PODS = "dev/pods"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[TwoHosts]:
    with TwoHosts(tmp_path, archive=True) as hosts:
        hosts.start_hub(1)
        hosts.wait_listed()
        yield hosts


def test_one_hosts_status_says_whether_all_is_ready_over_both_and_names_the_worker_that_stands_still(
    hosts: TwoHosts,
) -> None:
    names = [host_of(hosts.state(host)) for host in range(2)]
    well = wait_until("all to be ready over both hosts", lambda: ready(hosts), seconds=60, every_s=0.5)
    assert holders(well) == {"worker-0": names[0], "worker-1": names[1]}
    assert all(part["lag_ms"] is not None for part in well["informers"][PODS]["places"].values())
    wait_until("what waits in both hosts' brokers to be known", lambda: is_queue_known(hosts), seconds=60, every_s=0.5)
    done = run(hosts, "status", "--ready")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("ready over all hosts, as of ")
    assert well["behind_s"] is not None
    listed = json.loads(run(hosts, "shards", "list", "--json").stdout)
    assert listed["hosts"]["ready"], listed["hosts"]["unready"]

    # It could not have the address, which is that of the one that stands still.
    hosts.kill("standby-0")
    hosts.signal("worker-0", signal.SIGSTOP)
    done = run(hosts, "status", "--json", "--ready")
    assert done.returncode == 1, "the first look after it stood still"
    lacks = json.loads(done.stdout)["hosts"]
    # On a machine that is so busy that the lease ended meanwhile, it is said of the place alone.
    assert any("worker-0" in why for why in lacks["unready"]), lacks["unready"]
    assert not lacks["informers"][PODS]["ready"]
    assert not any("worker-1" in why for why in lacks["unready"]), lacks["unready"]
    wait_until("its lease to end", lambda: "no host has worker-0" in unready(hosts), seconds=60, every_s=0.5)

    hosts.signal("worker-0", signal.SIGCONT)

    def is_back() -> Any:
        if hosts.has_ended("worker-0"):
            # As a supervisor would: its lease had ended.
            hosts.start("worker-0")
        return ready(hosts)

    assert holders(wait_until("all to be ready", is_back, seconds=90, every_s=0.5))["worker-0"] == names[0]


def test_streams_that_nobody_reads_are_not_ready_over_all_hosts_though_every_worker_answers(hosts: TwoHosts) -> None:
    wait_until("all to be ready over both hosts", lambda: ready(hosts), seconds=60, every_s=0.5)
    for host in range(2):
        hosts.signal(f"reflector-{host}", signal.SIGSTOP)
    why = f"{PODS}: worker-0 on "
    wait_until(
        "the informer to be named",
        lambda: any(line.startswith(why) and "nothing new of it was proven" in line for line in unready(hosts)),
        seconds=60,
        every_s=0.5,
    )
    for host in range(2):
        hosts.signal(f"reflector-{host}", signal.SIGCONT)
    wait_until("all to be ready again", lambda: ready(hosts), seconds=90, every_s=0.5)


def run(hosts: TwoHosts, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(DELTAWIRE), *words, "-c", str(hosts.config(1))],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def ready(hosts: TwoHosts) -> Any:
    """``hosts`` of the status of the second host once it says that all is ready."""
    found: dict[str, Any] = json.loads(run(hosts, "status", "--json").stdout).get("hosts") or {}
    return found.get("ready") and found


def is_queue_known(hosts: TwoHosts) -> bool:
    found = ready(hosts)
    return bool(found) and all(part["queued"] is not None for part in found["informers"][PODS]["places"].values())


def unready(hosts: TwoHosts) -> list[str]:
    found: list[str] = json.loads(run(hosts, "status", "--json").stdout)["hosts"]["unready"]
    return found


def holders(found: dict[str, Any]) -> dict[str, str]:
    return {place: part["host"] for place, part in found["informers"][PODS]["places"].items()}
