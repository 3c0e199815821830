"""The demo of `engine: nats`: two hosts, three NATS servers, three handlers, and each of them is killed in turn.

    python tests/acceptance/nats_demo.py [--folder DIR] [--only NAME…]

Everything runs on this machine: three nats-server processes with replicas of 3, the embedded API server under churn,
two brokers each with a reflector (one leads, the other waits) and a worker, three recording handlers. Each victim gets
a SIGKILL and is started again, a NATS server when all have gone on without it. In the end the outside judge compares
what the handlers wrote down with the API server. Exit code 1 if it has a complaint. ``make demo-nats`` runs it.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.nats_hosts import HANDLERS, TwoHosts
from tests.support.pipeline import wait_until

NODES = 3
SERVERS = [f"nats-{index}" for index in range(NODES)]
ROLES = [f"{role}-{host}" for role in ("fifo", "reflector", "worker") for host in range(2)]


def kill(hosts: TwoHosts, name: str) -> float:
    """Kill it and start it again; seconds until every handler has acknowledged something new after that."""
    began_s = time.monotonic()
    if name in SERVERS:
        index = SERVERS.index(name)
        hosts.nats.kill(index)
        # Two of three go on, and not only with what was on its way.
        hosts.wait_flowing(90, calls=30)
        took_s = time.monotonic() - began_s
        hosts.nats.start(index)
        hosts.nats.wait_healthy()
        hosts.nats.wait_caught_up()
        return took_s
    hosts.restart(name)
    hosts.wait_flowing(90)
    return time.monotonic() - began_s


def run(hosts: TwoHosts, victims: list[str]) -> dict[str, object]:
    """Kills each victim; what happened, and the judge's verdict."""
    began_s = time.monotonic()
    first_s = hosts.wait_listed()
    wait_until("a leader", lambda: hosts.leader() is not None)
    say(f"listed and flowing after {first_s:.1f} s; the broker of host {hosts.leader()} leads pods")
    lists = len(hosts.server.reflectors_lists())
    after_servers = 0
    recovery: dict[str, float] = {}
    for name in victims:
        before = len(hosts.server.reflectors_lists())
        recovery[name] = round(kill(hosts, name), 1)
        if name in SERVERS:
            after_servers += len(hosts.server.reflectors_lists()) - before
        say(f"killed {name}: all handlers go on after {recovery[name]} s; host {hosts.leader()} leads")
    at_last = len(hosts.server.reflectors_lists())
    verdict = hosts.judge_in_the_end(120)
    if victims and victims[-1] in SERVERS:
        after_servers += len(hosts.server.reflectors_lists()) - at_last
    more = len(hosts.server.reflectors_lists()) - lists - after_servers
    acknowledged = hosts.acknowledged()
    say(
        f"{acknowledged} calls acknowledged, {more} lists more, {after_servers} after the servers' kills,"
        f" {verdict['complaints']} complaints of the judge"
    )
    return {
        "seconds": round(time.monotonic() - began_s, 1),
        "recovery_s": recovery,
        "acknowledged": acknowledged,
        "lists_more": more,
        "lists_after_servers": after_servers,
        "complaints": verdict["complaints"],
        "verdict": verdict,
    }


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    everyone = [*ROLES, *HANDLERS, *SERVERS]
    parser = argparse.ArgumentParser(description="kill each process of a pipeline on NATS in turn")
    parser.add_argument("--folder", type=Path, help="where logs and state stay; default: a temporary one")
    parser.add_argument("--only", nargs="+", choices=everyone, default=everyone, metavar="NAME")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="deltawire-nats-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        say(f"{NODES} NATS servers, 2 hosts, {len(HANDLERS)} handlers, the embedded API server under churn")
        with TwoHosts(folder, nodes=NODES, objects=200, churn_per_s=50) as hosts:
            result = run(hosts, options.only)
        verdict = result.pop("verdict")
        say(json.dumps(result))
        if result["complaints"]:
            say(json.dumps(verdict))
            return 1
        say("the judge is content")
    return 0


if __name__ == "__main__":
    sys.exit(main())
