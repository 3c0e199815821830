"""A plain run, judged from outside: what ``up --json`` says of itself agrees with the judge's own counts."""

import json

import pytest

from tests.support.pipeline import Pipeline, ServerProcess, running

pytestmark = [pytest.mark.process, pytest.mark.timeout(120), pytest.mark.xdist_group("faults")]
ONE_OF_EACH = {"reflectors": 1, "workers": 1, "heartbeat": 1}


def test_a_run_under_churn_ends_with_every_view_equal_to_the_server(tmp_path):
    with running(tmp_path, "--objects", "pods=200", "--churn", "200/s") as (server, pipeline):
        pipeline.wait_synced()
        server.churn(0)
        status = pipeline.wait_quiet()
        verdict = pipeline.judge()
        assert verdict["complaints"] == 0, verdict
        for name, judged in verdict["handlers"].items():
            assert judged["acknowledged"] >= status["groups"][name]["acknowledged"] > 0
            assert judged["keys"] >= verdict["objects"]
        assert len(server.reflectors_lists()) <= 2
        assert len(server.reflectors_watches()) == 2, "one watch per stream, whatever the number of handlers"
        assert pipeline.down() == 0


def test_the_same_over_tls_with_a_token(tmp_path):
    with running(tmp_path, "--objects", "pods=50", "--tls", "--token", "s3cret", runtime=ONE_OF_EACH) as (
        server,
        pipeline,
    ):
        assert server.url.startswith("https://")
        pipeline.wait_synced()
        pipeline.wait_quiet()
        verdict = pipeline.judge()
        assert verdict["complaints"] == 0, verdict
        assert verdict["objects"] >= 50
        assert "s3cret" not in pipeline.log
        assert pipeline.down() == 0


def test_a_handler_that_fails_now_and_then_still_converges(tmp_path):
    server = ServerProcess(tmp_path, "--objects", "pods=50", "--churn", "50/s")
    pipeline = Pipeline(tmp_path, server.kubeconfig, runtime=ONE_OF_EACH)
    text = pipeline.config.read_text().replace("every.calls", "every.calls\n  - --fail-every\n  - '7'")
    pipeline.config.write_text(text)
    try:
        pipeline.up()
        pipeline.wait_synced()
        server.churn(0)
        pipeline.wait_quiet()
        verdict = pipeline.judge()
        assert verdict["complaints"] == 0, verdict
        assert verdict["handlers"]["every"]["failed"] > 0
    finally:
        pipeline.close()
        server.stop()


def test_up_for_a_while_prints_one_json_summary_and_exits_0(tmp_path):
    server = ServerProcess(tmp_path, "--objects", "pods=100")
    pipeline = Pipeline(tmp_path, server.kubeconfig)
    try:
        done = pipeline.run("up", "--for", "2s", "--json", timeout_s=60)
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout.splitlines()[-1])
        assert summary["synced"] is True
        assert summary["objects"] >= 100
        assert summary["restarts"] == 0
        verdict = pipeline.judge()
        assert verdict["complaints"] == 0, verdict
        assert summary["objects"] == verdict["objects"]
        for name, judged in verdict["handlers"].items():
            assert summary["handlers"][name]["acknowledged"] == judged["acknowledged"]
            assert summary["handlers"][name]["pending"] == summary["handlers"][name]["dead"] == 0
    finally:
        server.stop()


@pytest.mark.long
def test_up_for_a_while_that_ends_while_an_informer_stands_still_says_so_and_exits_1(tmp_path):
    server = ServerProcess(tmp_path, "--objects", "pods=300")
    pipeline = Pipeline(
        tmp_path,
        server.kubeconfig,
        informers=[{"resource": "pods", "max_bytes": "300KiB"}],
        runtime=ONE_OF_EACH,
    )
    try:
        done = pipeline.run("up", "--for", "3s", "--json", timeout_s=120)
        assert done.returncode == 1, done.stderr
        summary = json.loads(done.stdout.splitlines()[-1])
        assert (summary["synced"], summary["ready"]) == (False, False)
        # It names the informer, why it stands still, and no part that works.
        ended = [line for line in done.stderr.splitlines() if "max_bytes" in line and "dev/pods" in line]
        assert ended, done.stderr[-3000:]
        assert "Traceback" not in done.stderr
    finally:
        server.stop()
