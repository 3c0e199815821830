"""P3, P4, P6: kill what you like, whenever you like; the outside judge is content and nothing is listed again.

One pipeline lives through all single kills in turn, under churn, as a real one would.
"""

import os
import signal
import time

import pytest

from tests.support.pipeline import is_alive, running, wait_until

# What groups acknowledged is committed within so much (docs/limits.md).
COMMITTED_LATE_S = 0.1
# Longer than all leases of the pipeline, which are three heartbeats.
AWAY_S = 4.0
pytestmark = [pytest.mark.process, pytest.mark.timeout(240), pytest.mark.xdist_group("acceptance")]
CHURN_PER_S = 80.0
SERVER = ("--objects", "pods=300", "--churn", f"{CHURN_PER_S:g}/s")


def restarted(pipeline, name, old_pid):
    """Waits until ``name`` runs again under another pid and all is synced."""

    def done():
        status = pipeline.status()
        new = status.get("processes", {}).get(name, {})
        return status.get("synced") and new.get("pid") not in (None, 0, old_pid)

    wait_until(f"{name} to be back", done, seconds=30, every_s=0.2)


def settle_and_judge(server, pipeline):
    server.churn(0)
    pipeline.wait_quiet()
    verdict = pipeline.judge_in_the_end()
    assert verdict["complaints"] == 0, verdict
    assert all(h["acknowledged"] for h in verdict["handlers"].values())
    return verdict


# One of each kind; the others are the same programs.
OF_EACH_KIND = ("reflector-0", "fifo", "worker-0", "latest-0")
EVERY_PROCESS = (*OF_EACH_KIND, "reflector-1", "worker-1", "every-0")


@pytest.mark.parametrize(
    "victims", [OF_EACH_KIND, pytest.param(EVERY_PROCESS, marks=pytest.mark.long)], ids=["kinds", "all"]
)
def test_each_single_kill_loses_nothing_and_lists_nothing(tmp_path, victims):
    with running(tmp_path, *SERVER) as (server, pipeline):
        pipeline.wait_synced()
        lists = len(server.reflectors_lists())
        watches = len(server.reflectors_watches())
        for name in victims:
            old = pipeline.kill_9(name)
            assert not is_alive(old) or name
            restarted(pipeline, name, old)
        assert len(server.reflectors_lists()) == lists, "a kill of one process must not list"
        # One watch for each killed reflector's stream, one per stream for the new broker.
        assert len(server.reflectors_watches()) <= watches + 2 + 2 + 2

        stopped = pipeline.pids()["worker-0"]
        os.kill(stopped, signal.SIGSTOP)
        time.sleep(AWAY_S)  # the point of the test is that time passes
        if is_alive(stopped):
            os.kill(stopped, signal.SIGCONT)
        pipeline.wait_synced()

        server.admin("POST", "cut")
        pipeline.wait_synced()
        assert len(server.reflectors_lists()) == lists, "a cut connection is resumed by a watch"
        settle_and_judge(server, pipeline)
        assert pipeline.down() == 0


def change_while_down(server):
    """120 deletions, 30 delete-and-re-creates of the same name, 60 updates. Returns the three sets of keys."""
    pods = server.call("GET", "/api/v1/pods").json()["items"]
    assert len(pods) >= 210, "the test needs enough pods"

    def path(pod):
        return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"

    now = {"gracePeriodSeconds": 0}
    for pod in pods[:150]:
        server.call("DELETE", path(pod), json=now)
    for pod in pods[120:150]:
        meta = {k: pod["metadata"][k] for k in ("name", "namespace", "labels") if k in pod["metadata"]}
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": meta,
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }
        server.call("POST", path(pod).rpartition("/")[0], json=body)
    for pod in pods[150:210]:
        server.call(
            "PATCH", path(pod), json={"metadata": {"annotations": {"touched": "yes"}}},
            headers={"Content-Type": "application/merge-patch+json"},
        )  # fmt: skip
    keys = [f"{p['metadata']['namespace']}/{p['metadata']['name']}" for p in pods[:210]]
    return set(keys[:120]), set(keys[120:150]), set(keys[150:])


def calls_after(pipeline, name, offsets):
    import json

    with pipeline.calls[name].open("rb") as file:
        file.seek(offsets[name])
        return [
            entry
            for line in file
            if (entry := json.loads(line))["what"] == "end" and entry["resource"] == "pods"
        ]


def test_after_the_total_kill_exactly_what_was_missed_arrives(tmp_path):
    with running(tmp_path, "--objects", "pods=400", "--churn", f"{CHURN_PER_S:g}/s") as (server, pipeline):
        pipeline.wait_synced()
        time.sleep(1)  # under churn for a while, so that the kill hits a pipeline at work
        server.churn(0)
        pipeline.wait_quiet()
        server.churn(CHURN_PER_S)
        time.sleep(1)
        pipeline.kill_everything()
        server.churn(0)
        acknowledged = {name: {} for name in pipeline.calls}
        judge_calls(pipeline, acknowledged)
        offsets = {name: path.stat().st_size for name, path in pipeline.calls.items()}
        lists = len(server.reflectors_lists())
        deleted, recreated, updated = change_while_down(server)
        time.sleep(AWAY_S)
        before = {(p["metadata"]["namespace"] + "/" + p["metadata"]["name"]): p["metadata"]["resourceVersion"]
                  for p in server.call("GET", "/api/v1/pods").json()["items"]}  # fmt: skip

        pipeline.up()
        pipeline.wait_synced()
        pipeline.wait_quiet()

        assert len(server.reflectors_lists()) == lists, "a restart after a total kill resumes by watches"
        for name in pipeline.calls:
            calls = calls_after(pipeline, name, offsets)
            by_type = {
                kind: {c["key"] for c in calls if c["type"] == kind}
                for kind in ("added", "updated", "deleted")
            }
            assert deleted | recreated <= by_type["deleted"]
            assert recreated <= by_type["added"]
            assert updated <= by_type["updated"] | by_type["added"]
            for call in calls:
                known = acknowledged[name].get(call["key"])
                # An object of the last second before the kill that is deleted since is neither known nor there.
                unchanged = known is not None and known == before.get(call["key"])
                assert not (unchanged and call["type"] == "added"), (
                    f"{name} got an add of what it knew: {call}"
                )
        verdict = pipeline.judge()
        assert verdict["complaints"] == 0, verdict
        assert pipeline.down() == 0


def judge_calls(pipeline, acknowledged, older_than_s=1.0):
    """Last acknowledged version by key, but only what was acknowledged a while before the kill."""
    import json

    for name, path in pipeline.calls.items():
        entries = [json.loads(line) for line in path.read_bytes().splitlines()]
        last = max(e["at"] for e in entries)
        for entry in entries:
            if entry["what"] == "end" and entry["resource"] == "pods" and entry["at"] < last - older_than_s:
                acknowledged[name][entry["key"]] = entry["version"]


def test_a_total_kill_in_the_middle_of_the_first_list_is_listed_again_and_complete(tmp_path):
    with running(tmp_path, "--objects", "pods=2500") as (_, pipeline):
        wait_until(
            "the first list to be under way",
            lambda: pipeline.calls["latest"].exists() and pipeline.calls["latest"].stat().st_size > 0,
            every_s=0.001,
        )
        pipeline.kill_everything()
        pipeline.up()
        pipeline.wait_synced(60)
        pipeline.wait_quiet()
        verdict = pipeline.judge()
        assert verdict["complaints"] == 0, verdict


def test_a_total_kill_between_a_commit_and_its_ack_repeats_nothing_and_lists_nothing(tmp_path):
    """The broker is stopped, so that it reads no ack; what the workers had been sent is stored and delivered."""
    runtime = {"reflectors": 2, "workers": 2, "heartbeat": 5}  # no peer counts as gone before the kill
    with running(tmp_path, "--objects", "pods=300", "--churn", "150/s", runtime=runtime) as (
        server,
        pipeline,
    ):
        pipeline.wait_synced()
        lists = len(server.reflectors_lists())
        broker = pipeline.pids()["fifo"]

        def stored_without_ack():
            """The handlers get what was committed after the broker was stopped."""
            os.kill(broker, signal.SIGSTOP)
            offsets = pipeline.offsets()
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                if all(pipeline.calls_since(offsets).values()):
                    return True
                time.sleep(0.01)
            os.kill(broker, signal.SIGCONT)
            return False

        wait_until("a commit whose ack is not heard", stored_without_ack)
        # No batch carries along what handlers acknowledged: it is committed late, and would come again.
        time.sleep(5 * COMMITTED_LATE_S)
        pipeline.kill_everything()
        server.churn(0)
        offsets = pipeline.offsets()
        versions = {
            (name, call["resource"], call["key"], call["version"])
            for name, calls in pipeline.calls_since(dict.fromkeys(pipeline.calls, 0)).items()
            for call in calls
            if call["at"] < time.monotonic() - 1
        }
        pipeline.up()
        pipeline.wait_synced()
        pipeline.wait_quiet()
        assert len(server.reflectors_lists()) == lists
        verdict = pipeline.judge()
        assert verdict["complaints"] == 0, verdict
        for name, calls in pipeline.calls_since(offsets).items():
            again = [c for c in calls if (name, c["resource"], c["key"], c["version"]) in versions]
            assert not again, f"{name} was told again what it had acknowledged long before: {again[:3]}"
        assert pipeline.down() == 0
