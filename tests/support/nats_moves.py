"""What is judged of two hosts between which shards have moved."""

import io
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from deltawire.common.clock import SystemClock
from deltawire.common.store.folder import last_cluster_id
from deltawire.informer.archive import backup
from tests.support.nats_hosts import HANDLERS, TwoHosts
from tests.support.pipeline import wait_until


def with_a_dead_letter(hosts: TwoHosts) -> str:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bad"}}
    hosts.server.call("POST", "/api/v1/namespaces/default/configmaps", json=made)
    wait_until("a dead letter", lambda: failures(hosts, "bad") == 2, seconds=60)
    return "bad"


def failures(hosts: TwoHosts, name: str) -> int:
    path = hosts.folder / "stubborn.calls"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return sum(
        1 for line in map(json.loads, lines) if line["what"] == "fail" and line["key"].endswith(f"/{name}")
    )


def dead_letters(hosts: TwoHosts, host: int) -> int:
    state = hosts.state(host)
    counts = backup.write(io.BytesIO(), state, 4, {"dev": last_cluster_id(state, "dev")}, SystemClock())
    return counts.parked


def lists_of(hosts: TwoHosts) -> Counter[str]:
    return Counter(entry["path"] for entry in hosts.server.reflectors_lists())


def is_content(hosts: TwoHosts, supervise: Iterable[str] = ()) -> None:
    verdict = hosts.judge_in_the_end(supervise=supervise)
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
