"""Judges by key what handlers wrote down against the API server's own record: P1 to P5 and P9.

    python check_keys.py FOLDER [--final]

FOLDER is a run's: ``run.json`` names the groups, ``<group>.calls`` are the recorders' files, ``seen.jsonl`` and
``writer-*.jsonl`` the record, ``lister.found`` what the cache held. With ``--final`` nothing changes any more, and each
group must have come to the server's state. Prints one JSON object: ``{"calls", "keys", "versions", "violations":
[[rule, text], …], "counts": {rule: n}}``; exit code 1 if there is a violation. Uses the standard library only. Rules:

overlap       two calls of a key of a group at a time, but by a replica that lay still past its lease and has the
              lower fence
order         a version of a key goes back within a uid, but to what was acknowledged just before its worker died
uid           a uid changes without a deletion between, with the same exception
flag          an `every` group missed a version that the server had, and the next event says neither gap nor coalesced
attempt       a call that was begun before comes again as the first attempt
fence         the fence of a key goes back
unborn        a group gets an object whose deletion another group had acknowledged before this group existed
invented      a uid that the server never had
cache         an event names a state that the cache does not hold, though the object lives (P1)
converge      the last acknowledged state of a key is not the server's; a deletion is missing; an object was never told
"""

import argparse
import itertools
import json
import ssl
import sys
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHOWN_MAX = 10
# What a worker has been told is on its disk so soon (0.1 s), and the ways there on a busy machine; seconds.
COMMIT_S = 1.0
# A death is that much earlier or later than the looks at /proc say between which it was, seconds.
NOTICED_S = 0.5
# A worker that is cut off from the servers of its lease ends within this, and a busy machine's share; seconds.
LEASE_S = 10.0
# So soon after it is no longer cut off, what a worker is told is safe again; seconds.
RECOVER_S = 3.0
Key = tuple[str, str]
Complaint = tuple[str, str]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a file that may still be written."""
    if path.exists():
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield json.loads(line)


@dataclass
class Record:
    """What the server had: versions by uid, and when each uid was deleted."""

    versions: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    deleted_at: dict[str, float] = field(default_factory=dict)
    tiers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, entry: dict[str, Any]) -> None:
        self.versions[entry["uid"]].add(int(entry["version"]))
        self.tiers[entry["uid"]].add(entry["tier"])
        if entry["type"] == "DELETED":
            self.deleted_at.setdefault(entry["uid"], entry["at"])


def read_record(folder: Path) -> Record:
    record = Record()
    for entry in lines(folder / "seen.jsonl"):
        record.add(entry)
    for path in sorted(folder.glob("writer-*.jsonl")):
        for entry in lines(path):
            # The answer to a deletion is the object as it was.
            record.add({**entry, "type": ""})
    return record


@dataclass
class Call:
    """One call of a handler. ``ended``: None where its process died first; ``is_done``: acknowledged."""

    entry: dict[str, Any]
    began: float
    ended: float | None = None
    is_done: bool = False

    @property
    def version(self) -> int:
        return int(self.entry["version"] or 0)

    @property
    def uid(self) -> str:
        return str(self.entry["uid"])

    @property
    def kind(self) -> str:
        return str(self.entry["type"])

    @property
    def flags(self) -> set[str]:
        return set(self.entry["flags"] or ())

    def __str__(self) -> str:
        return f"{self.kind} {self.entry['version']} at {self.began:.3f} by {self.entry['pid']}"


def read_calls(path: Path) -> dict[Key, list[Call]]:
    """The calls of each key in the order of their beginnings."""
    open_calls: dict[tuple[int, int], Call] = {}
    found: dict[Key, list[Call]] = defaultdict(list)
    for entry in lines(path):
        if entry["type"] == "gap":
            continue  # a notice about a stream, of no key
        mark = (entry["pid"], entry["call"])
        if entry["what"] == "begin":
            call = open_calls[mark] = Call(entry, entry["at"])
            found[entry["resource"], entry["key"]].append(call)
        else:
            call = open_calls.pop(mark)
            call.ended, call.is_done = entry["at"], entry["what"] == "end"
    for calls in found.values():
        calls.sort(key=lambda call: call.began)
    return found


def read_deaths(
    folder: Path, stops: list[tuple[str, float, float]], cut_off: list[tuple[float, float]] | None
) -> list[tuple[float, float, float]]:
    """(since, earliest, latest) of each end of a worker: what was acknowledged from ``since`` on may not have been on
    its disk. ``cut_off``: when hosts were cut off from what says that another host has the shards, so that it may have
    had them before this end; None where there are no other hosts."""
    found = []
    for entry in lines(folder / "processes.jsonl"):
        if not entry["up"] and entry["name"].startswith("worker-"):
            at = entry["at"]
            mine = [(a, until) for who, a, until in stops if who == entry["name"]]
            # Between these it died; what writes no times of a look knows it exactly.
            earliest, latest = entry.get("since", at), entry.get("until", at)
            since, slack_s, next_s = earliest, NOTICED_S, NOTICED_S
            if cut_off is not None:
                # The last of them may have led to this end a lease later, and one before it soon to that.
                mine, slack_s, next_s = [*mine, *cut_off], LEASE_S, RECOVER_S
            for a, until in sorted(mine, key=lambda one: one[1], reverse=True):
                if a <= latest and since <= until + slack_s:
                    since, slack_s = min(since, a), next_s
            found.append((since - NOTICED_S - COMMIT_S, earliest if cut_off is None else since, latest))
    return found


def is_forgotten(earlier: Call | None, again: Call, deaths: list[tuple[float, float, float]]) -> bool:
    """Whether a worker died with an acknowledgement that was not on its disk yet, so that the call comes again."""
    if earlier is None:
        return False
    ended = again.began if earlier.ended is None else earlier.ended
    return any(
        since <= ended and earlier.began - NOTICED_S <= latest and earliest <= again.began + NOTICED_S
        for since, earliest, latest in deaths
    )


def judge_pairs(
    where: str, calls: list[Call], stops: list[tuple[float, float]], deaths: list[tuple[float, float, float]]
) -> Iterator[Complaint]:
    """Complaints about calls that follow each other. ``stops``: when a replica of the group lay still; ``deaths``:
    of workers, see `read_deaths`."""
    begun: dict[tuple[str, str, str], Call] = {}
    last: dict[tuple[str, str], Call] = {}
    for before, after in itertools.pairwise(calls):
        last[before.uid, str(before.entry["version"])] = before
        is_new = not is_forgotten(last.get((after.uid, str(after.entry["version"]))), after, deaths)
        if before.ended is not None and after.began < before.ended:
            was_stopped = any(since < before.ended and until > before.began for since, until in stops)
            if not was_stopped or after.entry["fence"] <= before.entry["fence"]:
                yield "overlap", f"{where}: {before} and {after}"
        if is_new and before.uid == after.uid and after.version < before.version:
            yield "order", f"{where}: {before}, then {after}"
        if is_new and before.uid != after.uid and before.kind != "deleted":
            yield "uid", f"{where}: {before} of {before.uid}, then {after} of {after.uid}"
        if after.entry["fence"] < before.entry["fence"]:
            yield (
                "fence",
                f"{where}: {before.entry['fence']} of {before}, then {after.entry['fence']} of {after}",
            )
    for call in calls:
        # A key's calls are few enough to be looked at in this plain way.
        mark = (call.uid, call.kind, str(call.entry["version"]))
        earlier = begun.get(mark)
        if earlier is not None and call.entry["attempt"] == 1:
            yield "attempt", f"{where}: {call} says attempt 1 after {earlier}"
        if call.is_done and call.kind == "deleted":
            begun.clear()  # what comes now is another life, or the object came into scope again
        begun.setdefault(mark, call)


def judge_flags(where: str, calls: list[Call], record: Record) -> Iterator[Complaint]:
    """Versions between two calls of a uid that an `every` group was not told of, without a flag that says so."""
    for before, after in itertools.pairwise(calls):
        if (
            before.uid != after.uid
            or before.kind == "deleted"
            or after.flags & {"gap", "coalesced", "out-of-scope"}
        ):
            continue
        missed = [v for v in record.versions[after.uid] if before.version < v < after.version]
        if missed:
            yield (
                "flag",
                f"{where}: {before}, then {after} without a flag; the server had {sorted(missed)[:5]}",
            )


def judge_group(
    name: str, group: dict[str, Any], calls: dict[Key, list[Call]], record: Record, run: dict[str, Any]
) -> Iterator[Complaint]:
    stops = [(since, until) for who, since, until in run["stops"] if who.rpartition("-")[0] == name]
    deaths = run["deaths"]
    for (resource, key), of_key in calls.items():
        where = f"{name} {resource} {key}"
        yield from judge_pairs(where, of_key, stops, deaths)
        if group["delivery"] == "every" and resource not in run["filtered"]:
            yield from judge_flags(where, of_key, record)
        for call in of_key:
            if call.uid not in record.versions:
                yield "invented", f"{where}: {call} of uid {call.uid}, which the server never had"


def judge_births(
    groups: dict[str, Any], all_calls: dict[str, dict[Key, list[Call]]], filtered: list[str]
) -> Iterator[Complaint]:
    """Objects that a group was told of though they had ended before it existed, as another group knew.

    What a selector filters is left out: its objects come and go without having ended.
    """
    known: dict[str, tuple[float, str]] = {}
    for name, calls in all_calls.items():
        for call in (call for of_key in calls.values() for call in of_key):
            if call.kind == "deleted" and call.is_done and "out-of-scope" not in call.flags:
                at = call.ended or call.began
                if call.uid not in known or at < known[call.uid][0]:
                    known[call.uid] = (at, name)
    for name, calls in all_calls.items():
        born = groups[name]["born"]
        for (resource, key), of_key in calls.items():
            if resource in filtered:
                continue
            at, other = known.get(of_key[0].uid, (born, ""))
            if at < born:
                yield (
                    "unborn",
                    f"{name} {resource} {key}: {of_key[0]}, deleted for {other} at {at:.3f}, group of {born:.3f}",
                )


def judge_final(
    name: str, calls: dict[Key, list[Call]], server: dict[Key, tuple[str, str]]
) -> Iterator[Complaint]:
    """What one group has not come to."""
    for (resource, key), (_, version) in server.items():
        if (resource, key) not in calls:
            yield "converge", f"{name} {resource} {key}: {version} on the server, never told"
    for (resource, key), of_key in calls.items():
        done = [call for call in of_key if call.is_done]
        last = done[-1] if done else None
        held = server.get((resource, key))
        if held is None and (last is None or last.kind != "deleted"):
            yield (
                "converge",
                f"{name} {resource} {key}: not on the server (or out of scope), last done: {last}",
            )
        if held is not None and (
            last is None or last.kind == "deleted" or (last.uid, str(last.version)) != held
        ):
            yield "converge", f"{name} {resource} {key}: the server has {held[1]}, last done: {last}"


def judge_cache(folder: Path, record: Record, run: dict[str, Any]) -> Iterator[Complaint]:
    """P1: after an event the cache holds that state, a newer one, or the object has been deleted since."""
    for entry in lines(folder / "lister.found"):
        uid, version = entry["uid"], int(entry["version"] or 0)
        is_scoped = run["narrowed"] or entry["resource"] in run["filtered"]
        said = f"lister {entry['resource']} {entry['key']}: {entry['type']} {version} at {entry['at']:.3f}"
        if entry["found_uid"] == uid:
            # A deletion's event comes after its commit, too: the object must not be there.
            is_deleted = entry["type"] == "deleted" and not is_scoped
            if is_deleted or int(entry["found_version"]) < version:
                yield "cache", f"{said}, the cache held {entry['found_version']}"
        elif entry["type"] != "deleted" and uid not in record.deleted_at and not is_scoped:
            held = entry["found_version"] or "nothing"
            yield "cache", f"{said}, the cache held {held}, and it was never deleted"


def list_server(run: dict[str, Any]) -> dict[Key, tuple[str, str]]:
    """(resource, key) → (uid, version) of what the last config covers."""
    tls = ssl.create_default_context(cafile=run["ca"])
    token = Path(run["token"]).read_text().strip()
    held: dict[Key, tuple[str, str]] = {}
    for resource, scope in run["scope"].items():
        query = f"?labelSelector={scope['selector'].replace('=', '%3D')}" if scope["selector"] else ""
        for namespace in scope["namespaces"] or [""]:
            path = f"/api/v1/namespaces/{namespace}/{resource}" if namespace else f"/api/v1/{resource}"
            request = urllib.request.Request(  # noqa: S310  # the run's own server
                f"{run['url']}{path}{query}",
                headers={"Authorization": f"Bearer {token}", "User-Agent": "chaos-checker"},
            )
            with urllib.request.urlopen(request, timeout=30, context=tls) as answer:  # noqa: S310
                for item in json.load(answer)["items"]:
                    meta = item["metadata"]
                    held[resource, f"{meta['namespace']}/{meta['name']}"] = (
                        meta["uid"],
                        meta["resourceVersion"],
                    )
    return held


def judge(folder: Path, *, is_final: bool) -> dict[str, Any]:
    run = json.loads((folder / "run.json").read_bytes())
    run["deaths"] = read_deaths(folder, run["stops"], run.get("cut_off"))
    record = read_record(folder)
    groups = run["groups"]
    all_calls = {name: read_calls(folder / f"{name}.calls") for name in groups}
    complaints: list[Complaint] = []
    server = list_server(run) if is_final else {}
    for name, group in groups.items():
        complaints += judge_group(name, group, all_calls[name], record, run)
        if is_final and group["is_present"]:
            complaints += judge_final(name, all_calls[name], server)
    complaints += judge_births(groups, all_calls, run["filtered"])
    complaints += judge_cache(folder, record, run)
    counts = Counter(rule for rule, _ in complaints)
    shown: Counter[str] = Counter()
    kept = []
    for rule, text in complaints:
        shown[rule] += 1
        if shown[rule] <= SHOWN_MAX:
            kept.append([rule, text])
    return {
        "calls": {name: sum(map(len, calls.values())) for name, calls in all_calls.items()},
        "keys": len({key for calls in all_calls.values() for key in calls}),
        "versions": sum(map(len, record.versions.values())),
        "violations": kept,
        "counts": dict(counts),
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--final", action="store_true")
    options = parser.parse_args()
    verdict = judge(options.folder, is_final=options.final)
    sys.stdout.write(json.dumps(verdict) + "\n")
    return 1 if verdict["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
