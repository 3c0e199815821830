"""The outside judge: compares what handlers acknowledged with what the API server holds.

    python judge.py --kubeconfig FILE --resource pods --resource deployments.apps CALLS [CALLS…]

Imports nothing of the project that it judges: the API server is listed with the official ``kubernetes``
client, and CALLS are the files that ``recorder.py`` wrote, one for each handler. Prints one JSON object, and
exits with 1 if there is a complaint. A complaint is:

- a key whose last acknowledged version is not the server's;
- an object of the server that was never seen;
- a deleted object without a deletion;
- two overlapping calls of a key;
- a version of a key going back within a uid, but for calls that come again and say so (`attempt` 2 or more): what was
  acknowledged last before a worker was killed (P2);
- a uid that changed without a deletion between.
"""

import argparse
import itertools
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

COMPLAINTS_SHOWN_MAX = 20


def read_calls(path: Path) -> tuple[list[dict], int]:
    """Acknowledged calls (``begin`` and ``end`` paired) in the order of their beginnings, and failed ones."""
    begun: dict[tuple[int, int], float] = {}
    calls, failed = [], 0
    for line in path.read_bytes().splitlines():
        entry = json.loads(line)
        if entry.get("type") == "gap":
            continue  # a notice about a stream, of no key
        mark = (entry["pid"], entry["call"])
        if entry["what"] == "begin":
            begun[mark] = entry["at"]
        elif entry["what"] == "fail":
            failed += 1
        else:
            calls.append({**entry, "began": begun.pop(mark), "ended": entry["at"]})
    return sorted(calls, key=lambda call: call["began"]), failed


def judge_key(key: str, calls: list[dict], held: dict | None) -> list[str]:
    """Complaints about one key of one handler. ``held``: the server's uid and version, if it has the key."""
    complaints = []
    told = {(calls[0]["uid"], calls[0]["version"])}
    for before, after in itertools.pairwise(calls):
        mark = (after["uid"], after["version"])
        is_repeated = mark in told and after.get("attempt", 1) > 1
        told.add(mark)
        if after["began"] < before["ended"]:
            complaints.append(f"{key}: two calls overlap ({before['version']} and {after['version']})")
        if before["uid"] == after["uid"]:
            if int(after["version"]) < int(before["version"]) and not is_repeated:
                complaints.append(f"{key}: version goes back from {before['version']} to {after['version']}")
        elif before["type"] != "deleted":
            complaints.append(f"{key}: uid changed from {before['uid']} to {after['uid']} without a deletion")
    last = calls[-1]
    if held is None:
        if last["type"] != "deleted":
            complaints.append(
                f"{key}: deleted on the server, last acknowledged as {last['type']} {last['version']}"
            )
    elif last["type"] == "deleted" or (last["uid"], last["version"]) != (held["uid"], held["version"]):
        done = f"{last['type']} {last['version']}"
        complaints.append(f"{key}: the server holds {held['version']}, last acknowledged was {done}")
    return complaints


def judge(calls: list[dict], server: dict[tuple[str, str], dict]) -> list[str]:
    """Complaints about one handler. ``server``: (resource, key) → {uid, version} of what it watches."""
    by_key: dict[tuple[str, str], list[dict]] = defaultdict(list)
    for call in calls:
        by_key[call["resource"], call["key"]].append(call)
    complaints = [
        f"{resource} {key}: on the server, never seen"
        for resource, key in server
        if (resource, key) not in by_key
    ]
    for (resource, key), of_key in sorted(by_key.items()):
        complaints += judge_key(f"{resource} {key}", of_key, server.get((resource, key)))
    return complaints


def list_server(kubeconfig: str, resources: list[str]) -> dict[tuple[str, str], dict]:
    """Everything the API server holds of ``resources`` (plural or plural.group, served at v1)."""
    from kubernetes import client, config

    config.load_kube_config(kubeconfig)
    held = {}
    with client.ApiClient() as api:
        for resource in resources:
            plural, _, group = resource.partition(".")
            path = f"/apis/{group}/v1/{plural}" if group else f"/api/v1/{plural}"
            answer = api.call_api(
                *api.param_serialize(
                    "GET", path, header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
                )
            )
            for item in json.loads(answer.read())["items"]:
                meta = item["metadata"]
                key = f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else meta["name"]
                held[resource, key] = {"uid": meta["uid"], "version": meta["resourceVersion"]}
    return held


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--resource", action="append", required=True)
    parser.add_argument("calls", nargs="+", type=Path)
    options = parser.parse_args()
    server = list_server(options.kubeconfig, options.resource)
    verdict: dict = {"objects": len(server), "handlers": {}, "complaints": 0}
    for path in options.calls:
        calls, failed = read_calls(path)
        complaints = judge(calls, server)
        verdict["complaints"] += len(complaints)
        verdict["handlers"][path.stem] = {
            "acknowledged": len(calls),
            "failed": failed,
            "types": Counter(call["type"] for call in calls),
            "keys": len({(call["resource"], call["key"]) for call in calls}),
            "complaints": complaints[:COMPLAINTS_SHOWN_MAX],
        }
    print(json.dumps(verdict))
    return 1 if verdict["complaints"] else 0


if __name__ == "__main__":
    sys.exit(main())
