"""`engine: nats` where Leases of the watched cluster decide who leads."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.nats_hosts import TwoHosts
from tests.support.nats_servers import NatsServers
from tests.support.pipeline import running, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240), pytest.mark.xdist_group("nats")]

LEASE_S = 6
LEASES = {"kind": "kubernetes", "namespace": "default", "duration": LEASE_S}
PATH = "/apis/coordination.k8s.io/v1/namespaces/default/leases"


def spec(hosts: TwoHosts) -> dict[str, Any]:
    """What the Lease of pods says."""
    found: dict[str, Any] = hosts.server.call("GET", f"{PATH}/deltawire.dev.pods").json()["spec"]
    return found


@pytest.mark.long
def test_a_leader_that_ends_hands_over_at_once_and_one_that_stood_still_is_fenced(tmp_path: Path):
    with TwoHosts(tmp_path, leases=LEASES) as hosts:
        hosts.wait_listed()
        lists = len(hosts.server.reflectors_lists())
        former = hosts.leader()
        assert former is not None
        first = spec(hosts)
        assert first["leaseDurationSeconds"] == LEASE_S
        other = 1 - former

        hosts.signal(f"fifo-{former}", signal.SIGTERM)
        wait_until("the other to lead", lambda: hosts.reigns(other) > 0, seconds=60)
        assert spec(hosts)["holderIdentity"] != first["holderIdentity"]
        assert spec(hosts)["leaseTransitions"] == first["leaseTransitions"] + 1
        hosts.restart(f"fifo-{former}")
        hosts.wait_flowing()

        hosts.signal(f"fifo-{other}", signal.SIGSTOP)
        reigns = hosts.reigns(former)
        wait_until("the first to lead again", lambda: hosts.reigns(former) > reigns, seconds=20 * LEASE_S)
        hosts.signal(f"fifo-{other}", signal.SIGCONT)
        wait_until(
            "the other to step down",
            lambda: "is led by another broker now" in hosts.log(f"fifo-{other}"),
            seconds=60,
        )
        hosts.must_be_content(lists)


@pytest.mark.long
def test_the_death_of_the_leading_host_is_taken_over_when_its_lease_has_run_out(tmp_path: Path):
    with TwoHosts(tmp_path, leases=LEASES) as hosts:
        hosts.wait_listed()
        lists = len(hosts.server.reflectors_lists())
        former = hosts.leader()
        assert former is not None
        hosts.outlive(former, seconds=20 * LEASE_S)
        hosts.must_be_content(lists)


@pytest.mark.long
def test_a_broker_that_is_started_again_or_ends_makes_nobody_wait_for_its_lease(tmp_path: Path):
    long = LEASES | {"duration": 600}
    with TwoHosts(tmp_path, leases=long) as hosts:
        hosts.wait_listed()
        lists = len(hosts.server.reflectors_lists())
        former = hosts.leader()
        assert former is not None
        reigns = hosts.reigns(former)
        hosts.restart(f"fifo-{former}")
        wait_until("it leads again", lambda: hosts.reigns(former) > reigns, seconds=60)
        hosts.wait_flowing()
        hosts.signal(f"fifo-{former}", signal.SIGTERM)
        wait_until("the other to lead", lambda: hosts.reigns(1 - former) > 0, seconds=60)
        hosts.restart(f"fifo-{former}")
        hosts.must_be_content(lists)


@pytest.mark.long
def test_a_lease_that_cannot_be_had_is_named_in_status_and_needs_no_restart_once_it_can(tmp_path: Path):
    with NatsServers(tmp_path / "nats") as nats:
        leases = {"kind": "kubernetes", "namespace": "ops", "duration": LEASE_S}
        engine = {"kind": "nats", "servers": nats.urls, "replicas": 1, "leases": leases}
        with running(tmp_path, "--objects", "pods=5", engine=engine) as (server, pipeline):
            text = "no lease of dev/pods can be had: Lease ops/deltawire.dev.pods: "

            def said() -> str:
                """Of now: the last warning of a process stays."""
                status = pipeline.status()
                processes = {name: one | {"last_words": ""} for name, one in status.get("processes", {}).items()}
                return json.dumps(status | {"processes": processes})

            wait_until("a line in status", lambda: text in said(), seconds=60)
            assert "make the namespace, or name another one in engine.leases.namespace" in said()
            assert not pipeline.status().get("ready")
            server.call("POST", "/api/v1/namespaces", json={"metadata": {"name": "ops"}})
            wait_until("readiness", lambda: pipeline.status().get("ready"), seconds=60)
            wait_until("the line to be gone", lambda: text not in said(), seconds=60)


@pytest.mark.long
def test_while_nats_is_away_nobody_keeps_the_lease_and_one_leads_when_it_is_back(tmp_path: Path):
    with TwoHosts(tmp_path, leases=LEASES) as hosts:
        hosts.wait_listed()
        lists = len(hosts.server.reflectors_lists())
        hosts.nats.kill(0)
        wait_until("a lease that was given back", lambda: not spec(hosts)["holderIdentity"], seconds=20 * LEASE_S)
        hosts.nats.start(0)
        hosts.nats.wait_healthy()
        wait_until("a lease that is held", lambda: spec(hosts)["holderIdentity"], seconds=20 * LEASE_S)
        hosts.must_be_content(lists)
