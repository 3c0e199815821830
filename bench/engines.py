"""The queue in memory beside the queue on NATS, in one run: events/s of a burst, CPU, ages.

    python bench/engines.py [--seconds 8] [--rounds 2] [--nodes 1] [--objects 1000]

Each round measures one engine after the other. Everything else is the same: one reflector, broker, worker and handler,
delivery `every`. With ``--nodes 3`` the servers are a cluster and streams have three replicas, all on this machine.
Prints a line for each, and the ratio of the medians.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from machinery import REST, burst, source
from pipeline import Shape, running, settle
from quick import DRAIN_DEADLINE_S, HEAD, row

from tests.support.nats_servers import NatsServers

RATIO_MIN = 0.3


def measure(folder: Path, options: argparse.Namespace, engine: object, name: str) -> float:
    """Events/s of a burst, until the last one is handled."""
    with source(folder, options.objects) as feed, running(folder, feed, Shape(engine=engine)) as pipeline:
        seen = burst(feed, pipeline.records["bench"], pipeline.pids(), options.seconds)
        feed.set_rate(REST)
        print("  ".join(f"{text:>9}" for text in row(name, "burst", seen, pipeline.pending())), flush=True)
        settle(pipeline, DRAIN_DEADLINE_S)
        return seen.events / seen.seconds


def main() -> int:
    parser = argparse.ArgumentParser(description="the engines of the queue beside each other")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--nodes", type=int, default=1, choices=(1, 3))
    parser.add_argument("--objects", type=int, default=1000)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"memory": [], "nats": []}
    print("  ".join(f"{text:>9}" for text in HEAD))
    with (
        tempfile.TemporaryDirectory(prefix="deltawire-engines-") as temporary,
        NatsServers(Path(temporary) / "nats", count=options.nodes) as nats,
    ):
        servers = {"kind": "nats", "servers": nats.urls, "replicas": options.nodes}
        for turn in range(options.rounds):
            for name, found in rates.items():
                folder = Path(temporary) / f"{name}-{turn}"
                folder.mkdir()
                engine = servers | {"name": f"bench-{turn}"} if name == "nats" else name
                found.append(measure(folder, options, engine, name))
    memory, shared = (statistics.median(found) for found in rates.values())
    print(
        f"memory {memory:,.0f} events/s, nats {shared:,.0f} events/s: {shared / memory:.2f} x (must be {RATIO_MIN} x)"
    )
    return 0 if shared >= RATIO_MIN * memory else 1


if __name__ == "__main__":
    sys.exit(main())
