"""The hosts that other tests stand on (`netns`): packets vanish at a cut, and nothing outlives a run that is killed."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import netns
from tests.support.netns import Hosts
from tests.support.patience import wait_until
from tests.support.pipeline import is_alive

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("netns")]
PORT = 7000
_RUN = """
import sys, time
from pathlib import Path
from tests.support.netns import Hosts
with Hosts(Path(sys.argv[1])) as hosts, open("/dev/null", "wb") as log:
    for name in ("one", "slow"):
        host = hosts.add(name, slow=name == "slow")
        inside = host.start(["sleep", "1000"], log)
        print(host.pid, inside.pid, host.link.pid if host.link else host.pid, flush=True)
    print(hosts.router_pid, flush=True)
    time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def namespaces() -> None:
    netns.require()


def listening(hosts: Hosts, name: str) -> socket.socket:
    found: socket.socket = hosts[name].do(lambda: socket.create_server((hosts[name].address, PORT)))
    return found


def is_reached(hosts: Hosts, source: str, target: str, *, within_s: float = 20.0) -> bool:
    """False where nothing answers. Raises ConnectionError where something refuses."""
    try:
        address = (hosts[target].address, PORT)
        hosts[source].do(lambda: socket.create_connection(address, within_s)).close()
    except TimeoutError:
        return False
    return True


def test_packets_of_a_pair_vanish_at_a_cut_and_those_of_others_and_of_another_run_do_not(tmp_path: Path):
    folders = (tmp_path / "one", tmp_path / "other")
    for folder in folders:
        folder.mkdir()
    with Hosts(folders[0]) as hosts, Hosts(folders[1]) as others:
        for each in (hosts, others):
            for name in ("a", "b", "c"):
                each.add(name)
        with listening(hosts, "b"), listening(others, "b"):
            hosts.cut("a", "b")
            assert not is_reached(hosts, "a", "b", within_s=0.5)
            assert is_reached(hosts, "c", "b")
            assert is_reached(others, "a", "b")
            hosts.heal("a", "b")
            assert is_reached(hosts, "a", "b")


def test_nothing_is_left_of_hosts_whose_run_is_killed(tmp_path: Path):
    run = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(netns.__file__).parents[2])},
    )  # fmt: skip
    assert run.stdout
    pids = [int(pid) for _ in range(3) for pid in run.stdout.readline().split()]
    assert len(pids) == 7
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    wait_until(lambda: not [pid for pid in pids if is_alive(pid)], f"the end of {pids}", seconds=20)
