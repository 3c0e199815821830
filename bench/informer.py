"""CPU of one event in a worker, without sockets: applied, delivered to one group, acknowledged.

    python bench/informer.py [--events 20000] [--objects 1000] [--batch 32] [--filter none|labels|changed|kept-back]

One shard with one index, updates of 4.4 KB pods (`tests/vectors/pod-4k.json`), one group. Prints µs of CPU
an event: the best of five rounds, since the other processes of the machine only ever add to it. ``--filter``: what the
group's filter looks at: labels that all have; a path of which each update has another value; labels that none has.
"""

import argparse
import tempfile
import time
from pathlib import Path

from deltawire.common.clock import SystemClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.meta.clauses import Clause
from deltawire.common.wire.codec import Decoder, plain
from deltawire.common.wire.messages.shard import Batch
from deltawire.informer.groups import outcomes
from deltawire.informer.groups.replica import Replica
from deltawire.informer.groups.state import KnownReplica
from deltawire.informer.shard import GroupOptions
from deltawire.informer.shared_informer import SharedInformer

POD = (Path(__file__).parents[1] / "tests/vectors/pod-4k.json").read_bytes()
ROUNDS = 5
FIRST_VERSION = 1000
# What the group's filter is, and whether its events arrive.
FILTERS = {
    "none": ((), True),
    "labels": ((Clause(labels="!of-nobody"),), True),
    "changed": ((Clause(changed=["{.metadata.resourceVersion}"]),), True),
    "kept-back": ((Clause(labels="of-nobody"),), False),
}
_decode = Decoder(Batch)


def work(kind, *fields):
    """A batch as the broker sends it."""
    return _decode(plain(kind, "bench/pods", 0, *fields))


def body_of(version):
    return POD.replace(b'"resourceVersion":"', b'"resourceVersion":"' + version.encode(), 1)


def deltas(first, count, objects, kind):
    """A pop's rows: one delta for each key, as the broker groups them."""
    rows = []
    for number in range(first, first + count):
        name, version = f"pod-{number % objects}", str(FIRST_VERSION + number)
        rows.append(
            ["ns", name, [[number, kind, "*", f"uid-{number % objects}", version, 1, body_of(version)]]]
        )
    return work("pop", "b1", first, first + count - 1, rows, [["*", str(FIRST_VERSION + first + count - 1)]])


def ack_of(event):
    """That it is done, as the worker reads it from a message."""
    return event[1], event[0], event[7], 0, 0, ""


def open_shard(folder):
    plan = Plan(
        parse(
            {
                "version": 1,
                "clusters": {"bench": {}},
                "informers": [{"resource": "pods", "indexes": {"by-node": ".spec.nodeName"}}],
            }
        )
    )
    informer = SharedInformer(
        plan.informers["bench/pods"],
        [0],
        1,
        store_dir=folder,
        owner="bench",
        boot_id="boot",
        lease_s=1.0,
        is_dead=lambda known: True,
        clock=SystemClock(),
    )
    informer.open("c1")
    return informer, informer.shards[0]


def measure(shard, first, events, objects, batch, *, are_sent):
    """µs an event of (apply, deliver, acknowledge)."""
    apply_s = deliver_s = ack_s = 0.0
    for start in range(first, first + events, batch):
        work = [deltas(start, batch, objects, "U")]
        began = time.process_time()
        shard.apply(work)
        applied = time.process_time()
        sent = [
            (name, who, event)
            for name, by_replica in shard.deliver()
            for who, events_ in by_replica.items()
            for event in events_
        ]
        delivered = time.process_time()
        now = shard.now()
        for name, who, event in sent:
            outcomes.acknowledge(shard.groups[name], who, [ack_of(event)], now)
        ack_s += time.process_time() - delivered
        apply_s += applied - began
        deliver_s += delivered - applied
        if len(sent) != batch * are_sent:
            raise SystemExit(f"{len(sent)} events of {batch} were delivered")
    return tuple(part / events * 1e6 for part in (apply_s, deliver_s, ack_s))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=20_000, help="in each round")
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--filter", choices=sorted(FILTERS), default="none")
    options = parser.parse_args()
    clauses, are_sent = FILTERS[options.filter]
    events = options.events - options.events % options.batch
    with tempfile.TemporaryDirectory(prefix="dw-bench-") as name:
        informer, shard = open_shard(Path(name))
        shard.apply([work("begin", "b1", 1, "*", 1)])
        shard.apply([deltas(2, options.objects, options.objects, "R")])
        shard.apply([work("end", "b1", options.objects + 2, "*", 1, options.objects, str(FIRST_VERSION))])
        replica = Replica(b"bench", KnownReplica("bench", "n", 1, 1, "h"), 10_000, 1 << 30)
        shard.join("bench", GroupOptions(clauses=clauses), replica, [])
        while found := list(shard.deliver()):
            for _, by_replica in found:
                for who, sent in by_replica.items():
                    for event in sent:
                        group = shard.groups["bench"]
                        outcomes.acknowledge(group, who, [ack_of(event)], 0.0)
        shard.flush()
        first = options.objects + 3
        rounds = [
            measure(shard, first + n * events, events, options.objects, options.batch, are_sent=are_sent)
            for n in range(ROUNDS)
        ]
        informer.close(clean=False)
    apply, deliver, ack = min(rounds, key=sum)
    print(f"| apply | deliver | acknowledge | sum, µs CPU an update at {options.batch} a batch |")
    print(
        f"| --- | --- | --- | --- |\n| {apply:.1f} | {deliver:.1f} | {ack:.1f} | {apply + deliver + ack:.1f} |"
    )


if __name__ == "__main__":
    main()
