"""`engine: nats` with an archive: a host that is lost leaves its shards, and the lead, to the other."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from deltawire.common.clock import SystemClock
from deltawire.common.store.folder import last_cluster_id
from deltawire.informer.archive import backup
from tests.support.nats_hosts import HANDLERS, TwoHosts
from tests.support.pipeline import wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240), pytest.mark.xdist_group("nats")]


def test_a_host_that_is_lost_with_its_disk_leaves_its_shards_and_the_lead_to_the_other(
    tmp_path: Path,
) -> None:
    with TwoHosts(tmp_path, archive=True) as hosts:
        hosts.wait_listed()
        name = _with_a_dead_letter(hosts)
        lists = _lists(hosts)
        former = hosts.leader()
        assert former is not None
        other = 1 - former
        # Where the disk is there, the queue has the rest.
        hosts.kill(f"standby-{other}")
        hosts.restart(f"worker-{other}")
        hosts.wait_flowing()
        assert _lists(hosts) == lists
        hosts.lose(former)
        _is_taken_over(hosts, former)
        hosts.wait_flowing(90)
        _is_content(hosts)
        more = _lists(hosts)
        more.subtract(lists)
        # A list brings what the archive does not hold: the objects.
        assert all(count <= 1 for count in more.values()), more
        assert _dead(hosts, other) == 1
        assert _failed(hosts, name) == 2, "a dead letter is not tried again"


def _is_taken_over(hosts: TwoHosts, former: int) -> None:
    wait_until(
        "the other host to have the shards",
        lambda: "is filled from its archive" in hosts.log(f"standby-{former}"),
        seconds=60,
    )


def _with_a_dead_letter(hosts: TwoHosts) -> str:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bad"}}
    hosts.server.call("POST", "/api/v1/namespaces/default/configmaps", json=made)
    wait_until("a dead letter", lambda: _failed(hosts, "bad") == 2, seconds=60)
    return "bad"


def _failed(hosts: TwoHosts, name: str) -> int:
    path = hosts.folder / "stubborn.calls"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return sum(
        1 for line in map(json.loads, lines) if line["what"] == "fail" and line["key"].endswith(f"/{name}")
    )


def _dead(hosts: TwoHosts, host: int) -> int:
    state = hosts.state(host)
    counts = backup.write(io.BytesIO(), state, 4, {"dev": last_cluster_id(state, "dev")}, SystemClock())
    return counts.parked


def _lists(hosts: TwoHosts) -> Counter[str]:
    return Counter(entry["path"] for entry in hosts.server.reflectors_lists())


def _is_content(hosts: TwoHosts) -> None:
    verdict = hosts.judge_in_the_end()
    again = {call["key"] for name in HANDLERS for call in _ended(hosts, name) if call["attempt"] > 1}
    for name, of in verdict["handlers"].items():
        # What was acknowledged in the last moment before a kill may come again, and says so.
        found = [
            text for text in of["complaints"] if "goes back" not in text or not any(k in text for k in again)
        ]
        assert not found, f"{name}: {found}"
    for name in HANDLERS:
        adds = Counter(
            call["uid"] for call in _ended(hosts, name) if call["type"] == "added" and call["attempt"] == 1
        )
        assert [uid for uid, times in adds.items() if times > 1] == [], f"{name}: new twice"


def _ended(hosts: TwoHosts, name: str) -> list[dict[str, Any]]:
    lines = map(json.loads, hosts.calls[name].read_bytes().splitlines())
    return [line for line in lines if line["what"] == "end" and line["type"] != "gap"]
