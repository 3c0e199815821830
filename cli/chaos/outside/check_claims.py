"""Judges every claim of readiness against what was so at its moment: P8, and the bounds of P5 that `status` shows.

    python check_claims.py FOLDER

Reads ``claims.jsonl`` and ``processes.jsonl`` of the prober, ``actions.jsonl``, and, for what a group had done, the
calls and the record. Prints one JSON object like ``check_keys``. Uses the standard library only. Rules:

ready-dead     ready, though a process of the pipeline was not there
ready-stopped  ready, though a process lay still for longer than three beats
synced         a group is synced as of a moment, and had not done what the server had a while before that
future         something is claimed as of a moment that had not come when it was claimed
bound          more deltas in the broker than its bounds allow
"""

import argparse
import bisect
import itertools
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHOWN_MAX = 10
# A death withdraws readiness within 0.2 s. What a busy machine adds is measured: how late the prober itself was.
DEATH_S = 0.2
SLACK_S = 0.5
# A change is on its way from the server to the reflector for so long at most, where nothing slows it.
ON_ITS_WAY_S = 2.0
# Between a claim's clock and the prober's.
CLOCKS_S = 0.1
# While these are at work a change may be on its way for longer.
SLOWING = {"fault", "server-stop", "forbid"}
STREAM_DELTAS_MAX = 4096
SHARD_DELTAS_MAX = 1024
Complaint = tuple[str, str]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield json.loads(line)


def lateness(claims: list[dict[str, Any]]) -> dict[int, float]:
    """Second → how long the prober's question took, or its pause was overdrawn: the machine's share."""
    late: dict[int, float] = defaultdict(float)
    asked = [claim for claim in claims if claim["what"] == "readyz"]
    for before, after in itertools.pairwise(asked):
        took = after["at"] - before["at"] - 0.1
        for second in range(int(before["at"]) - 1, int(after["at"]) + 2):
            late[second] = max(late[second], took)
    return late


def absences(folder: Path) -> list[tuple[str, float, float]]:
    """(name, since, until) for each process of a running supervisor that was not there."""
    since: dict[str, float] = {}
    found = []
    running: dict[str, int] = {}
    for entry in lines(folder / "processes.jsonl"):
        name = entry["name"]
        if entry["up"]:
            running[name] = entry["pid"]
            if name in since:
                found.append((name, since.pop(name), entry["at"]))
        elif running.get(name) == entry["pid"]:
            del running[name]
            since[name] = entry["at"]
        if name == "supervisor" and not entry["up"]:
            since.clear()  # without it there is no answer, and the next one may have another config
    return found


def stops(folder: Path) -> list[tuple[str, int, float, float]]:
    """(name, pid, since, until) of processes that lay still; until it was replaced, at most."""
    ended: dict[tuple[str, int], float] = {}
    for entry in lines(folder / "processes.jsonl"):
        if not entry["up"]:
            ended.setdefault((entry["name"], entry["pid"]), entry["at"])
    found = []
    for action in lines(folder / "actions.jsonl"):
        if action.get("kind") == "stop" and action["name"] not in ("supervisor", "command"):
            until = min(action["until"], ended.get((action["name"], action["pid"]), action["until"]))
            found.append((action["name"], action["pid"], action["at"], until))
    return found


def with_replicas(folder: Path) -> set[str]:
    """Processes of groups that have others, too: a group is ready while one of its replicas is heard."""
    names = {entry["name"] for entry in lines(folder / "processes.jsonl")}
    groups = Counter(name.rpartition("-")[0] for name in names)
    return {
        name
        for name in names
        if (group := name.rpartition("-")[0]) not in ("", "worker", "reflector") and groups[group] > 1
    }


def judge_ready(folder: Path, claims: list[dict[str, Any]], beats_s: float) -> Iterator[Complaint]:
    late = lateness(claims)
    shared = with_replicas(folder)
    gone = [entry for entry in absences(folder) if entry[0] not in shared]
    still = [entry for entry in stops(folder) if entry[0] not in shared]
    for claim in claims:
        if claim["what"] != "readyz" or claim["code"] != 200:
            continue
        at, slack = claim["at"], SLACK_S + 3 * late[int(claim["at"])]
        for name, since, until in gone:
            if since + DEATH_S + slack < at and at + claim["took_s"] < until:
                yield (
                    "ready-dead",
                    f"/readyz 200 at {at:.3f}: {name} was gone from {since:.3f} to {until:.3f}",
                )
        for name, pid, since, until in still:
            if since + 3 * beats_s + slack < at and at + claim["took_s"] < until:
                yield (
                    "ready-stopped",
                    f"/readyz 200 at {at:.3f}: {name} ({pid}) lay still {since:.3f} to {until:.3f}",
                )


class Undone:
    """For a group: when it had acknowledged, or set aside, each version of the server, or a newer one of the key.

    A key that came and went before the group held anything of it leaves nothing to be done: nobody tells of an object
    that ended before it was listed.
    """

    def __init__(self, folder: Path, group: str, born: float, record: list[dict[str, Any]]) -> None:
        # Of each key: (version, when, whether it was a deletion), both rising.
        self._done: dict[tuple[str, str], list[tuple[int, float, bool]]] = defaultdict(list)
        for entry in lines(folder / f"{group}.calls"):
            if entry["what"] == "begin" or entry["type"] == "gap":
                continue
            done = self._done[entry["resource"], entry["key"]]
            version, is_deleted = int(entry["version"] or 0), entry["type"] == "deleted"
            # A deletion that a list found carries the version that was known last.
            if version > (done[-1][0] if done else 0) or (is_deleted and version == done[-1][0]):
                done.append((version, entry["at"], is_deleted))
        # What was there before the group it sees once, as it was then, or not at all.
        self._seen: dict[tuple[str, str], list[tuple[float, int, bool]]] = defaultdict(list)
        for entry in record:
            if entry["at"] > born:
                seen = self._seen[entry["resource"], entry["key"]]
                seen.append((entry["at"], int(entry["version"]), entry["type"] == "DELETED"))

    def at(self, as_of: float, claimed: float) -> list[str]:
        """What the server had well before ``as_of``, and the group had not done when that was claimed.

        The last state of each key: whoever has done it has done what was before it.
        """
        found = []
        for mark, seen in self._seen.items():
            index = bisect.bisect_left(seen, (as_of - ON_ITS_WAY_S, 0, False))
            if not index:
                continue
            seen_at, version, _ = seen[index - 1]
            done = self._done[mark]
            behind = bisect.bisect_left(done, (version, 0.0, False))
            done_at = done[behind][1] if behind < len(done) else float("inf")
            if done_at <= claimed + SLACK_S:
                continue
            holds_it = behind > 0 and not done[behind - 1][2]
            # Of a life that had ended by the time of the claim a list may not have told any more.
            has_ended = any(gone for at, _, gone in seen[index - 1 :] if at <= claimed + SLACK_S)
            if holds_it or not has_ended:
                found.append(f"{mark[0]} {mark[1]} {version} of {seen_at:.3f} (done {done_at:.3f})")
        return found


def judge_status(folder: Path, run: dict[str, Any], claims: list[dict[str, Any]]) -> Iterator[Complaint]:
    # Narrowed scopes hide changes rightly; what each of them covers is seen all the time.
    covered = run["covered"]
    record = [
        e
        for e in lines(folder / "seen.jsonl")
        if e["resource"] not in run["filtered"] and (covered is None or e["key"].partition("/")[0] in covered)
    ]
    slowed = [
        (a["at"], a["until"] + ON_ITS_WAY_S)
        for a in lines(folder / "actions.jsonl")
        if a.get("kind") in SLOWING
    ]
    undone: dict[str, Undone] = {}
    for claim in claims:
        status = claim.get("status")
        if not status or not status.get("running", True):
            continue
        for name, informer in status.get("informers", {}).items():
            most = STREAM_DELTAS_MAX * 3 + SHARD_DELTAS_MAX * 4
            if (informer.get("depth") or 0) + (informer.get("leased") or 0) > most:
                yield (
                    "bound",
                    f"{name} at {claim['at']:.3f}: depth {informer['depth']}, leased {informer['leased']}",
                )
        told_us = (claim["wall"] + claim["took_s"] + CLOCKS_S) * 1e6
        for name, part in (*status.get("informers", {}).items(), *status.get("groups", {}).items()):
            if (part.get("as_of") or 0) > told_us:
                late_s = (part["as_of"] - told_us) / 1e6
                yield "future", f"{name} at {claim['at']:.3f}: as of {late_s:.3f} s after that"
        for name, group in status.get("groups", {}).items():
            if not group.get("as_of") or not group.get("synced") or name not in run["groups"]:
                continue
            as_of = group["as_of"] / 1e6 - claim["wall"] + claim["at"]
            if any(since <= as_of <= until for since, until in slowed):
                continue
            if name not in undone:
                undone[name] = Undone(folder, name, run["groups"][name]["born"], record)
            missing = undone[name].at(as_of, claim["at"] + claim["took_s"])
            if missing:
                yield (
                    "synced",
                    f"{name}: synced as of {as_of:.3f}, but not done: {missing[:3]} ({len(missing)})",
                )


def judge(folder: Path) -> dict[str, Any]:
    run = json.loads((folder / "run.json").read_bytes())
    claims = list(lines(folder / "claims.jsonl"))
    complaints = [*judge_ready(folder, claims, run["heartbeat_s"]), *judge_status(folder, run, claims)]
    counts = Counter(rule for rule, _ in complaints)
    shown: Counter[str] = Counter()
    kept = []
    for rule, text in complaints:
        shown[rule] += 1
        if shown[rule] <= SHOWN_MAX:
            kept.append([rule, text])
    codes = Counter(str(claim["code"]) for claim in claims if claim["what"] == "readyz")
    return {"claims": len(claims), "readyz": codes, "violations": kept, "counts": dict(counts)}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    verdict = judge(parser.parse_args().folder)
    sys.stdout.write(json.dumps(verdict) + "\n")
    return 1 if verdict["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
