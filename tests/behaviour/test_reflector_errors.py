"""P8: what is wrong is said in one clear line, tried again, and stops nothing else."""

import logging
import socket

import pytest

from deltawire.client.config.client_config import ClientConfig
from tests.support.reflector_rig import PODS, USER_AGENT, Rig


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def backs_off(rig, name=f"{PODS}@*"):
    def seen():
        status = rig.stream(name)
        return status if status["state"] == "backoff" else None

    return rig.broker.until(seen, "the stream to back off")


def test_a_refused_connection_is_one_line_and_the_broker_hears_after_three_seconds(
    caplog, api_server_factory
):
    caplog.set_level(logging.WARNING)
    with Rig(api_server_factory, url=f"http://127.0.0.1:{free_port()}") as rig:
        rig.broker.until(lambda: rig.broker.clusters == [["default", ""]])
        status = backs_off(rig)
        assert status["error_code"] == "refused"
        assert "connection refused by http://127.0.0.1:" in status["error"]
        assert status["retry_in_s"] > 0
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("stream ")]
    assert len(lines) == 1
    assert "Traceback" not in caplog.text


def test_a_cluster_that_was_never_reached_shows_its_error_in_streams_that_wait_for_it(api_server_factory):
    with Rig(api_server_factory, url=f"http://127.0.0.1:{free_port()}") as rig:
        rig.broker.starts = False
        found = rig.broker.until(lambda: rig.stream(f"{PODS}@*")["error"], "the error to be seen")
        assert "connection refused by http://127.0.0.1:" in found
        assert rig.stream(f"{PODS}@*")["state"] == "waiting"


def test_an_unknown_resource_is_one_line_and_the_other_streams_go_on(api_server_factory):
    with Rig(api_server_factory, [{"resource": "pods"}, {"resource": "widgets.example.com"}]) as rig:
        rig.broker.until(lambda: rig.broker.of("end"))
        status = backs_off(rig, "default/widgets.example.com@*")
        assert "the server has no resource 'widgets.example.com'" in status["error"]
        rig.create("a")
        rig.broker.until(lambda: "default/a" in rig.broker.objects[PODS])


def test_namespaces_of_a_cluster_scoped_resource_are_an_error(api_server_factory):
    with Rig(api_server_factory, [{"resource": "nodes", "namespaces": ["default"]}]) as rig:
        assert "belong to no namespace" in backs_off(rig, "default/nodes@default")["error"]


@pytest.fixture
def tls_server():
    return {"tls": True, "tokens": ("right",)}


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("deltawire.reflector.clusters.IDENTITY_PATIENCE_S", 0.2)


@pytest.mark.usefixtures("impatient")
def test_a_wrong_token_is_401(tls_server, api_server_factory):
    with Rig(api_server_factory, options=tls_server, url="filled in below") as rig:
        rig._config = ClientConfig(
            host=rig.server.url, ca_data=rig.server.ca_pem, token="wrong", user_agent=USER_AGENT
        )
        status = backs_off(rig)
        rig.broker.until(lambda: rig.stream()["error_code"] == "401")
        assert status["state"] == "backoff"


@pytest.mark.usefixtures("impatient")
def test_a_wrong_ca_is_a_tls_error(tls_server, api_server_factory):
    with Rig(api_server_factory, options=tls_server) as rig:
        status = backs_off(rig)
        assert status["error_code"] == "tls"
        assert "certificate" in status["error"]


def test_a_token_and_a_ca_that_are_right_work(tls_server, api_server_factory):
    with Rig(api_server_factory, options=tls_server) as rig:
        rig.stop_reflector()
        rig._config = ClientConfig(
            host=rig.server.url, ca_data=rig.server.ca_pem, token="right", user_agent=USER_AGENT
        )
        rig.start_reflector()
        rig.broker.until(lambda: rig.broker.of("end"))


@pytest.mark.usefixtures("impatient")
def test_a_server_that_comes_later_is_found_and_its_id_is_told(api_server_factory):
    port = free_port()
    with Rig(api_server_factory, url=f"http://127.0.0.1:{port}") as rig:
        rig.broker.until(lambda: rig.broker.clusters)
        late = api_server_factory(port=port)
        rig.broker.until(lambda: rig.broker.of("end"), seconds=30)
        rig.broker.until(lambda: rig.broker.clusters == [["default", ""], ["default", late.core.cluster_uid]])
        assert rig.stream()["error"] == ""


class TestAnotherCluster:
    """The same address, another cluster behind it: nothing is listed, nothing swept."""

    def test_a_cluster_that_changed_under_a_watch_stops_its_streams_and_tells_the_broker(
        self, api_server_factory
    ):
        port = free_port()
        informers = [{"resource": "pods"}, {"resource": "services"}]
        with Rig(api_server_factory, informers, options={"port": port}) as rig:
            rig.create("precious")
            rig.broker.until(lambda: len(rig.broker.of("end")) == 2)
            rig.broker.until(lambda: "default/precious" in rig.broker.objects[PODS])
            [[_, first_id]] = rig.broker.clusters
            seen = len(rig.broker.messages)
            rig.server.stop()
            # A watch that ended well is opened again without a question; once that failed, the cluster is asked for.
            streams = (f"{PODS}@*", "default/services@*")
            rig.broker.until(lambda: all(rig.stream(s)["error_code"] == "refused" for s in streams))
            rig.restart_server(port=port)
            rig.broker.until(lambda: rig.stream()["state"] == "stopped", seconds=30)
            rig.broker.until(lambda: rig.stream("default/services@*")["state"] == "stopped")
            assert "is another one now" in rig.stream()["error"]
            rig.broker.until(lambda: len(rig.broker.clusters) == 2)
            assert rig.broker.clusters[1][1] not in ("", first_id)
            assert rig.broker.messages[seen:] == []
            assert rig.requests("list") == rig.requests("watch") == []
            assert "default/precious" in rig.broker.objects[PODS]
