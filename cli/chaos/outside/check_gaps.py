"""Judges the reports of lost history that groups got: the flag `gap` of events, and notices of type `gap` (P9).

    python check_gaps.py FOLDER

Reads ``run.json``, ``actions.jsonl`` and the recorders' files. Prints one JSON object like ``check_keys``. Uses the
standard library only. Rules:

gap            a `latest` group is told of a gap; or an `every` group is, before anything could have lost history
notice         two tellings of one loss say both that they are the first; or a loss that ends before it begins
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SHOWN_MAX = 10
# What makes reflectors list again, and what cuts a list so that it is made again.
LOSSES = {"compact", "compact-behind", "fault", "forbid", "server-kill", "server-restart", "server-stop"}
# With several hosts (`check_requests` says more): a list is made where a shard goes to another host.
LOSSES |= {
    "host-kill", "host-loss", "partition", "nats-kill", "nats-kill-all", "nats-stop", "nats-wipe"
}  # fmt: skip
CUTS = {"kill", "stop", "kill-all", "restart", "cut", "up-ended"}
# The first list of a scope is over after this, when nothing disturbs it; seconds.
LIST_S = 20.0
Complaint = tuple[str, str]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield json.loads(line)


def first_loss(actions: list[dict[str, Any]]) -> float:
    """From when on history may be lost; infinity where nothing was done that could.

    A cut counts where it may have met a first list: what that had brought is stored, and has a history to lose.
    """
    scopes = [a["at"] for a in actions if a["kind"] == "scope"]
    losses = [a["at"] for a in actions if a["kind"] in LOSSES]
    if any(a["kind"] == "hosts" for a in actions):
        losses += [a["at"] for a in actions if a["kind"] in ("stop", "kill", "kill-all")]
    losses += scopes[1:]
    losses += [
        a["at"]
        for a in actions
        if a["kind"] in CUTS and any(s <= a["at"] <= s + LIST_S for s in scopes[:1] or [0.0])
    ]
    return min(losses, default=float("inf"))


def judge_gaps(
    name: str, delivery: str, calls: Iterable[dict[str, Any]], since: float
) -> Iterator[Complaint]:
    """``calls``: the beginnings, in their order. ``since``: when history may first have been lost."""
    first: dict[tuple[str, ...], float] = {}
    for call in calls:
        is_notice = call["type"] == "gap"
        if is_notice and call["reason"] != "relist":
            continue
        if is_notice or "gap" in (call["flags"] or ()):
            where = (
                f"{name} {call['resource']} {call['key'] or call.get('namespace') or '*'} at {call['at']:.3f}"
            )
            if delivery == "latest":
                yield "gap", f"{where}: a group that takes the latest state is told of a gap"
            elif call["at"] < since:
                yield "gap", f"{where}: a gap, and nothing was lost until then"
        if not is_notice:
            continue
        lost_from, version = str(call["lost_from"]), str(call["version"])
        if lost_from.isdecimal() and version.isdecimal() and int(lost_from) >= int(version):
            yield "notice", f"{where}: lost from {lost_from} to {version}"
        mark = (str(call["resource"]), str(call["namespace"]), lost_from, version)
        if call["attempt"] == 1:
            if mark in first:
                yield "notice", f"{where}: attempt 1, as at {first[mark]:.3f}"
            first.setdefault(mark, call["at"])


def judge(folder: Path) -> dict[str, Any]:
    run = json.loads((folder / "run.json").read_bytes())
    since = first_loss([a for a in lines(folder / "actions.jsonl") if "kind" in a])
    complaints: list[Complaint] = []
    notices = 0
    for name, group in run["groups"].items():
        calls = [entry for entry in lines(folder / f"{name}.calls") if entry["what"] == "begin"]
        notices += sum(call["type"] == "gap" for call in calls)
        complaints += judge_gaps(name, group["delivery"], calls, since)
    counts = Counter(rule for rule, _ in complaints)
    shown: Counter[str] = Counter()
    kept = []
    for rule, text in complaints:
        shown[rule] += 1
        if shown[rule] <= SHOWN_MAX:
            kept.append([rule, text])
    return {"notices": notices, "violations": kept, "counts": dict(counts)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    verdict = judge(parser.parse_args().folder)
    sys.stdout.write(json.dumps(verdict) + "\n")
    return 1 if verdict["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
