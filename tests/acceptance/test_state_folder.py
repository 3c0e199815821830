"""What a state folder is used for after a restart: other workers, another cluster, a stream that is too old."""

import shutil
import time

import pytest
import yaml

from tests.support.pipeline import Pipeline, ServerProcess, running, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180), pytest.mark.xdist_group("faults")]
# What must not arrive gets this long to arrive.
QUIET_S = 1.0
ONE_OF_EACH = {"reflectors": 1, "workers": 1, "heartbeat": 1}
# All shards hear so often how far the streams are (docs/limits.md); a kill before that resumes further back.
MARKED_EVERY_S = 1.0


def start_again(pipeline):
    pipeline.up()
    pipeline.wait_synced()
    pipeline.wait_quiet()
    time.sleep(QUIET_S)


def rewrite(pipeline, **changes):
    config = yaml.safe_load(pipeline.config.read_text())
    pipeline.config.write_text(yaml.safe_dump(config | changes))


def test_more_workers_on_the_same_state_move_no_key_and_list_nothing(tmp_path):
    with running(tmp_path, "--objects", "pods=150") as (server, pipeline):
        pipeline.wait_synced()
        pipeline.wait_quiet()
        lists = len(server.reflectors_lists())
        assert pipeline.down() == 0
        offsets = pipeline.offsets()
        rewrite(pipeline, runtime={"reflectors": 2, "workers": 3, "heartbeat": 1})
        start_again(pipeline)
        assert {"worker-0", "worker-1", "worker-2"} <= set(pipeline.pids())
        assert pipeline.calls_since(offsets) == {"latest": [], "every": []}
        assert len(server.reflectors_lists()) == lists, "the keys stay where they are: nothing is listed"
        server.churn(100)
        time.sleep(1)
        server.churn(0)
        pipeline.wait_quiet()
        verdict = pipeline.judge()
        assert verdict["complaints"] == 0, verdict
        assert pipeline.down() == 0


def test_another_cluster_on_the_same_state_sweeps_nothing_and_has_a_folder_of_its_own(tmp_path):
    servers = []
    for name, pods in (("first", 40), ("second", 30)):
        (tmp_path / name).mkdir()
        servers.append(ServerProcess(tmp_path / name, "--objects", f"pods={pods}", "--seed", str(pods)))
    first, second = servers
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(first.kubeconfig, kubeconfig)
    pipeline = Pipeline(tmp_path, kubeconfig, runtime=ONE_OF_EACH)
    try:
        start_again(pipeline)
        lists = len(first.reflectors_lists())
        assert pipeline.down() == 0

        offsets = pipeline.offsets()
        shutil.copy(second.kubeconfig, kubeconfig)
        start_again(pipeline)
        for calls in pipeline.calls_since(offsets).values():
            assert {call["type"] for call in calls} == {"added"}, "the first cluster's objects are not gone"
        verdict = pipeline.judge(("pods",))
        assert verdict["objects"] == 30
        assert len([path for path in (tmp_path / "state").iterdir() if path.is_dir()]) == 2
        assert pipeline.down() == 0

        offsets = pipeline.offsets()
        shutil.copy(first.kubeconfig, kubeconfig)
        start_again(pipeline)
        assert pipeline.calls_since(offsets) == {"latest": [], "every": []}
        assert len(first.reflectors_lists()) == lists
        assert pipeline.down() == 0
    except BaseException:
        print(pipeline.log[-8000:])
        raise
    finally:
        pipeline.close()
        for server in servers:
            server.stop()


def are_stopped(status):
    return all(stream["state"] == "stopped" for stream in status["streams"].values())


def test_another_cluster_at_the_same_address_stops_the_informers_and_sweeps_nothing(tmp_path):
    with running(tmp_path, "--objects", "pods=40", runtime=ONE_OF_EACH) as (server, pipeline):
        pipeline.wait_synced()
        pipeline.wait_quiet()
        offsets = pipeline.offsets()
        server.stop()
        (tmp_path / "other").mkdir()
        other = ServerProcess(tmp_path / "other", "--port", server.url.rpartition(":")[2])
        try:
            status = wait_until(
                "the other cluster to be noticed",
                lambda: (s := pipeline.status()) and are_stopped(s) and s,
                seconds=60,
                every_s=0.3,
            )
            time.sleep(QUIET_S)
            assert all(
                "nothing was deleted" in s["error"] or "is kept" in s["error"]
                for s in status["streams"].values()
            )
            assert pipeline.calls_since(offsets) == {"latest": [], "every": []}
            assert pipeline.answer()["informers"]["dev/pods"]["objects"] == 40
            assert other.reflectors_lists() == []
        finally:
            pipeline.close()
            other.stop()


def pod(name, namespace):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }


def test_a_410_on_one_namespace_lists_and_sweeps_that_namespace_only(tmp_path):
    server = ServerProcess(tmp_path)

    def create(name, namespace):
        server.call("POST", f"/api/v1/namespaces/{namespace}/pods", json=pod(name, namespace))

    def delete(name, namespace):
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        server.call("DELETE", path, json={"gracePeriodSeconds": 0})

    for namespace in ("alpha", "beta"):
        server.call("POST", "/api/v1/namespaces", json={"metadata": {"name": namespace}})
        for number in range(10):
            create(f"p{number}", namespace)
    informers = [{"resource": "pods", "namespaces": ["alpha", "beta"]}]
    pipeline = Pipeline(tmp_path, server.kubeconfig, informers=informers, runtime=ONE_OF_EACH)
    pipeline.handle("pods")
    try:
        start_again(pipeline)
        lists = len(server.reflectors_lists())
        offsets = pipeline.offsets()
        # alpha's stream stands at a version below beta's …
        create("last", "alpha")
        create("last", "beta")
        wait_until("both to arrive", lambda: all(len(c) == 2 for c in pipeline.calls_since(offsets).values()))
        pipeline.wait_quiet()
        time.sleep(3 * MARKED_EVERY_S)
        pipeline.kill_everything()
        # … and that is all that the server still knows.
        server.admin("POST", "compact", resource="pods")
        delete("p1", "alpha")
        create("new", "alpha")
        delete("p2", "beta")

        offsets = pipeline.offsets()
        start_again(pipeline)
        for name, calls in pipeline.calls_since(offsets).items():
            told = {(call["type"], call["key"]) for call in calls}
            # An `every` group gets a notice that versions of alpha may be missing.
            notices = {("gap", "")} if name == "every" else set()
            assert told == notices | {("deleted", "alpha/p1"), ("added", "alpha/new"), ("deleted", "beta/p2")}
        asked = server.reflectors_lists()[lists:]
        assert [entry["namespace"] for entry in asked] == ["alpha"]
        assert pipeline.down() == 0
    except BaseException:
        print(pipeline.log[-8000:])
        raise
    finally:
        pipeline.close()
        server.stop()
