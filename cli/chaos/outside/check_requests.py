"""Judges the API server's request log: P6, no list that nothing explains.

    python check_requests.py FOLDER

Reads ``requests.jsonl`` (the log) and ``actions.jsonl`` (what was done, and when). Prints one JSON object like
``check_keys``. A list of a stream (a resource in one namespace or in all, with its selector) is explained by: nothing
listed yet; lost history; a fault or a refusal that was set; a list of the stream that was cut by what was done since.
Each of these explains as many lists as there were disturbances after it, and one. Uses the standard library only.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A list that was begun is over after this, when nothing disturbs it; seconds.
LIST_S = 20.0
# How long after lost history or a fault a list may still come of it: a stopped process, a backoff of 30 s doubled.
LATE_S = 75.0
# With several hosts: a shard that goes to another host needs a list, and so does one whose queue has lost something.
MOVES = {
    "stop", "host-kill", "host-loss", "kill-all", "partition",
    "nats-kill", "nats-kill-all", "nats-stop", "nats-wipe",
}  # fmt: skip
# What makes a new list right by itself, and what can cut one (or make an attempt fail, so that it is made again).
CAUSES = {"compact", "compact-behind", "fault", "forbid"}
CUTS = CAUSES | {
    "kill", "stop", "kill-all", "restart", "server-kill", "server-restart", "server-stop", "cut", "up-ended"
}  # fmt: skip


def lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield json.loads(line)


def is_list(entry: dict[str, Any]) -> bool:
    query = entry["query"]
    if entry["verb"] == "watch":
        return bool(query.get("sendInitialEvents") == "true")
    return entry["verb"] == "list" and "continue" not in query


def stream_of(entry: dict[str, Any]) -> str:
    return f"{entry['resource']} in {entry['namespace'] or '*'} {entry['query'].get('labelSelector', '')}".strip()


def unexplained(
    asked: list[float], actions: list[dict[str, Any]], starts: list[float], *, are_hosts: bool = False
) -> Iterator[float]:
    """The moments of one stream's lists that nothing explains. ``starts``: when the stream's scope came (again).
    ``are_hosts``: shards may move between hosts."""
    makes, ends = (CAUSES | MOVES, CUTS | MOVES) if are_hosts else (CAUSES, CUTS)
    listed: list[float] = []
    for at in asked:
        began = max((start for start in starts if start <= at), default=None)
        before = [one for one in listed if began is None or one >= began]
        causes = [a["at"] for a in actions if a["kind"] in makes and a["at"] <= at <= a["until"] + LATE_S]
        cuts = [a["at"] for a in actions if a["kind"] in ends and a["at"] <= at]
        if not before:
            allowed = True
        elif causes:
            first = min(causes)
            allowed = sum(one >= first for one in listed) < sum(cut >= first for cut in cuts)
        else:
            # The list before this one, cut short.
            allowed = any(before[-1] <= cut <= before[-1] + LIST_S for cut in cuts)
        if not allowed:
            yield at
        listed.append(at)


def judge(folder: Path) -> dict[str, Any]:
    actions = [a for a in lines(folder / "actions.jsonl") if "kind" in a]
    are_hosts = any(a["kind"] == "hosts" for a in actions)
    for action in actions:
        action.setdefault("until", action["at"])
    scopes = [a for a in actions if a["kind"] == "scope"]
    lists: dict[str, list[float]] = defaultdict(list)
    watches = 0
    for entry in lines(folder / "requests.jsonl"):
        if not entry["user_agent"].startswith("deltawire-reflector") or entry["resource"] == "namespaces":
            continue
        watches += entry["verb"] == "watch"
        if is_list(entry):
            lists[stream_of(entry)].append(entry["at"])
    violations = []
    for stream, asked in lists.items():
        starts = [scope["at"] for scope in scopes]
        for at in unexplained(sorted(asked), actions, starts, are_hosts=are_hosts):
            violations.append(["list", f"{stream}: a list at {at:.3f} that nothing explains"])
    counts = {"list": len(violations)} if violations else {}
    return {
        "lists": sum(map(len, lists.values())), "watches": watches, "violations": violations[:10], "counts": counts
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    verdict = judge(parser.parse_args().folder)
    sys.stdout.write(json.dumps(verdict) + "\n")
    return 1 if verdict["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
