"""An API server that comes back: who it is must be known before anything is published, and not knowing is no change.

The rules are in docs/design.md §6; with a clock of the test's own they are in tests/unit/reflector/test_identity.py.
"""

import socket

import pytest

from tests.support.freezing_proxy import FreezingProxy
from tests.support.reflector_rig import PODS, Rig, pod

IDENTITY = "/api/v1/namespaces/kube-system"
STREAM = f"{PODS}@*"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Unknown for two seconds instead of a minute."""
    monkeypatch.setattr("deltawire.reflector.identity.UNKNOWN_S_MAX", 2.0)
    monkeypatch.setattr("deltawire.reflector.identity.UNKNOWN_AT_FIRST_S_MAX", 2.0)
    monkeypatch.setattr("deltawire.reflector.cluster.STAND_IN_S_MIN", 1.0)
    monkeypatch.setattr("deltawire.reflector.cluster.SHARED_S_MAX", 0.5)
    monkeypatch.setattr("deltawire.reflector.clusters.IDENTITY_PATIENCE_S", 0.2)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def watching(rig):
    return rig.stream()["state"] == "watching"


def kept(path):
    """A server that keeps its data, on one port."""
    return {"port": free_port(), "data": path}


def restart(rig, options, *faults):
    """The same cluster again; ``faults`` are set before anybody can ask."""
    rig.server.stop()
    rig.broker.until(
        lambda: rig.stream()["error"] or rig.stream()["state"] != "watching", "the end to be seen"
    )
    rig.restart_server(**options)
    for fault in faults:
        rig.server.fault("error", **fault)


@pytest.mark.parametrize(
    "code", [403, *(pytest.param(code, marks=pytest.mark.long) for code in (401, 404, 503))]
)
def test_what_a_starting_server_answers_for_kube_system_stops_nothing_and_lists_nothing(
    code, tmp_path, api_server_factory
):
    options = kept(tmp_path / "data")
    with Rig(api_server_factory, options=options) as rig:
        rig.create("a")
        rig.broker.until(lambda: "default/a" in rig.broker.objects.get(PODS, {}))
        known = rig.broker.clusters[-1]
        restart(rig, options, {"value": code, "path": IDENTITY, "count": 2}, {"value": code, "count": 2})
        rig.create("b")
        rig.broker.until(lambda: "default/b" in rig.broker.objects[PODS], seconds=40)
        assert [c for c in rig.broker.clusters if c[1] not in ("", known[1])] == []
        assert rig.requests("list") == rig.streaming_lists() == []
        assert rig.stream()["error"] == ""


def test_while_the_id_is_unknown_nothing_is_asked_and_status_says_why(
    tmp_path, api_server_factory, monkeypatch
):
    monkeypatch.setattr("deltawire.reflector.identity.UNKNOWN_S_MAX", 600.0)
    with Rig(api_server_factory) as rig:
        rig.broker.until(lambda: watching(rig))
        rig.server.fault("error", 403, path=IDENTITY)
        rig.server.requests.clear()
        rig.server.cut("pods")
        rig.broker.until(lambda: rig.stream()["error_code"] == "403")
        assert "kube-system: 403" in rig.stream()["error"]
        assert "work goes on after" in rig.stream()["error"]
        assert not watching(rig)
        assert rig.requests("watch") == []
        rig.server.clear_faults()
        rig.broker.until(lambda: watching(rig), seconds=30)


def test_the_right_to_read_kube_system_taken_away_for_good_ends_nothing(api_server_factory):
    with Rig(api_server_factory) as rig:
        rig.broker.until(lambda: watching(rig))
        rig.server.fault("error", 403, path=IDENTITY)
        rig.server.cut("pods")
        rig.create("b")
        rig.broker.until(lambda: "default/b" in rig.broker.objects[PODS], seconds=40)
        status = rig.reflector.status()["clusters"]["default"]
        assert "as before" in status["warning"]
        assert len(rig.streaming_lists()) == 1


def test_a_new_process_in_that_moment_takes_the_id_that_the_broker_knows(tmp_path, api_server_factory):
    with Rig(api_server_factory) as rig:
        rig.broker.until(lambda: watching(rig))
        [[_, known]] = rig.broker.clusters
        rig.stop_reflector()
        rig.server.fault("error", 403, path=IDENTITY)
        rig.server.requests.clear()
        rig.broker.tells = ["default", known, rig.address]
        rig.start_reflector()
        rig.broker.until(lambda: rig.stream()["error_code"] == "403")
        rig.broker.until(lambda: watching(rig), seconds=40)
        assert len(rig.resume_watches()) == 1
        assert rig.streaming_lists() == []


def test_a_role_for_one_namespace_works_from_the_start_and_its_uid_may_come_later(api_server_factory):
    with Rig(api_server_factory) as rig:
        rig.stop_reflector()
        rig.broker.close()
        rig.server.fault("error", 403, path=IDENTITY)
        rig.broker = rig.new_broker()
        rig.server.requests.clear()
        rig.start_reflector()
        rig.broker.until(lambda: rig.broker.of("end"), seconds=40)
        rig.broker.until(lambda: [name for _, name in rig.broker.clusters][-1] == rig.address)
        assert "its address stands for it" in rig.reflector.status()["clusters"]["default"]["warning"]
        rig.server.clear_faults()
        rig.server.cut("pods")
        uid = rig.server.core.cluster_uid
        rig.broker.until(lambda: rig.broker.clusters[-1] == ["default", uid])
        rig.create("b")
        rig.broker.until(lambda: "default/b" in rig.broker.objects[PODS])
        assert len(rig.streaming_lists()) == 1
        assert rig.requests("list") == []


@pytest.mark.parametrize("code", [403, pytest.param(401, marks=pytest.mark.long)])
def test_a_storm_of_refusals_at_the_start_is_over_when_it_is_over(code, api_server_factory):
    with Rig(api_server_factory) as rig:
        rig.stop_reflector()
        rig.broker.close()
        rig.server.fault("error", code, count=8)
        rig.broker = rig.new_broker()
        rig.start_reflector()
        rig.create("a")
        rig.broker.until(lambda: "default/a" in rig.broker.objects.get(PODS, {}), seconds=60)
        uid = rig.server.core.cluster_uid
        rig.broker.until(lambda: rig.broker.clusters[-1] == ["default", uid], seconds=30)


def test_a_watch_that_ended_well_publishes_nothing_of_another_cluster(api_server_factory):
    """The connection's proper end says nothing of who answers next."""
    port = free_port()
    with Rig(api_server_factory, options={"port": port}) as rig:
        rig.create("precious")
        rig.broker.until(lambda: "default/precious" in rig.broker.objects.get(PODS, {}))
        rig.broker.until(lambda: watching(rig) and rig.broker.of("end"))
        seen = len(rig.broker.messages)
        rig.restart_server(port=port)
        rig.create("stranger")
        rig.broker.until(lambda: rig.stream()["state"] == "stopped", seconds=30)
        assert rig.broker.messages[seen:] == []
        assert rig.requests("watch") == []


def test_a_restart_in_the_middle_of_a_list_begins_the_list_anew(tmp_path, api_server_factory):
    options = kept(tmp_path / "data")
    with Rig(api_server_factory, options=options) as rig:
        rig.stop_reflector()
        rig.broker.close()
        rig.create(*(f"p{n}" for n in range(40)))
        rig.server.fault("slow", 2000, resource="pods", count=1)
        rig.broker = rig.new_broker()
        rig.start_reflector()
        rig.broker.until(lambda: rig.broker.of("deltas"))
        rig.server.stop()
        rig.restart_server(**options)
        rig.delete("p0")
        rig.broker.until(lambda: rig.broker.of("end"), seconds=40)
        assert len(rig.broker.objects[PODS]) == 39


def test_a_server_set_back_unseen_is_mended_by_a_relist_and_its_versions_count(api_server_factory):
    """A watch from a version in the server's future is quiet until that has come (docs/watches.md)."""
    with Rig(api_server_factory) as rig:
        rig.create("a")
        rig.broker.until(lambda: "default/a" in rig.broker.objects.get(PODS, {}))
        then = rig.server.call(lambda core: core.store.version)
        rig.create("b", "c", "d")
        rig.broker.until(lambda: "default/d" in rig.broker.objects[PODS])
        held = int(rig.broker.accepted[PODS, "*"])
        rig.server.rewind(then)
        rig.create("e")
        rig.broker.until(lambda: rig.resume_watches() == [str(held)], "the watch in the server's future")
        assert rig.reflector._answer("relist", {"informer": PODS}) == [STREAM]
        rig.broker.until(lambda: set(rig.broker.objects[PODS]) == {"default/a", "default/e"}, seconds=40)
        assert int(rig.broker.accepted[PODS, "*"]) < held
        rig.create("f")
        rig.broker.until(lambda: "default/f" in rig.broker.objects[PODS])


def test_a_relist_that_a_person_asks_for_is_at_the_servers_present_state(api_server_factory):
    with Rig(api_server_factory) as rig:
        rig.create("a")
        rig.broker.until(lambda: "default/a" in rig.broker.objects.get(PODS, {}))
        rig.broker.until(lambda: watching(rig))
        rig.server.requests.clear()
        assert rig.reflector._answer("relist", {"informer": PODS}) == [STREAM]
        rig.broker.until(rig.streaming_lists)
        assert "resourceVersion" not in rig.streaming_lists()[0]
        rig.broker.until(lambda: len(rig.broker.of("end")) == 2)
        assert rig.reflector._answer("relist", {"informer": "default/nodes"}) == []


def test_after_a_connection_fell_silent_nothing_old_is_reused(api_server_factory):
    """All connections that exist are frozen; with bookmarks each second the bound is 5 s."""
    server = api_server_factory(bookmark_interval_s=1.0)
    with (
        FreezingProxy("127.0.0.1", int(server.url.rpartition(":")[2])) as proxy,
        Rig(api_server_factory, url=proxy.url) as rig,
    ):
        rig.broker.until(lambda: rig.stream()["bookmark_interval_s"], "two bookmarks")
        lists = rig.stream()["lists"]
        proxy.freeze()
        server.call(lambda core: core.create("pods", pod("late"), "default"))
        rig.broker.until(lambda: "default/late" in rig.broker.objects.get(PODS, {}), seconds=40)
        assert rig.stream()["idle_watches"] == 1
        assert rig.stream()["lists"] == lists
