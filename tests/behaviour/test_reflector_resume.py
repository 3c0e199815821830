"""P6: one list, then watches that go on where the last one ended; a list only after 410 or a cut list."""

import pytest
import requests

from deltawire.reflector.list_plan import ServerTraits
from tests.support.reflector_rig import PODS, Rig


@pytest.fixture
def rig(api_server_factory):
    with Rig(api_server_factory) as made:
        made.create("first")
        made.broker.until(lambda: made.broker.of("end"))
        yield made


def arrives(rig, name, namespace="default"):
    rig.create(name, namespace=namespace)
    rig.broker.until(lambda: f"{namespace}/{name}" in rig.broker.objects[PODS], f"{name} to arrive")


def test_a_first_list_is_streamed_and_the_same_connection_goes_on_as_the_watch(rig):
    arrives(rig, "second")
    assert len(rig.streaming_lists()) == 1
    assert rig.resume_watches() == []
    assert rig.requests("list") == []


def test_objects_arrive_as_the_servers_bytes(rig):
    arrives(rig, "second")
    assert rig.broker.objects[PODS]["default/second"].startswith(b'{"kind":"Pod","apiVersion":"v1",')


def test_a_cut_watch_resumes_at_the_last_version_without_a_list(rig):
    arrives(rig, "a")
    last = rig.broker.accepted[PODS, "*"]
    assert rig.server.cut() == 1
    arrives(rig, "b")
    assert rig.resume_watches() == [last]
    assert len(rig.streaming_lists()) == 1
    assert rig.requests("list") == []


def test_a_restarted_reflector_resumes_with_one_watch_and_no_list(rig):
    arrives(rig, "a")
    rig.stop_reflector()
    rig.server.requests.clear()
    rig.create("b")
    rig.delete("first")
    accepted = rig.broker.accepted[PODS, "*"]
    rig.start_reflector()
    rig.broker.until(lambda: set(rig.broker.objects[PODS]) == {"default/a", "default/b"})
    assert rig.resume_watches() == [accepted]
    assert rig.requests("list") == []
    assert rig.streaming_lists() == []


def test_a_reset_session_resumes_at_what_the_broker_accepted(rig):
    arrives(rig, "a")
    accepted = rig.broker.accepted[PODS, "*"]
    rig.broker.reset()
    rig.broker.until(rig.resume_watches, "a watch in the new session")
    arrives(rig, "b")
    assert rig.resume_watches() == [accepted]
    assert len(rig.streaming_lists()) == 1


def test_a_compacted_version_is_answered_with_one_list_at_the_floor(rig):
    arrives(rig, "a")
    rig.stop_reflector()
    rig.server.requests.clear()
    rig.delete("first")
    rig.create("b")
    rig.server.compact()
    floor = rig.broker.floors[PODS, "*"]
    rig.start_reflector()
    rig.broker.until(lambda: set(rig.broker.objects[PODS]) == {"default/a", "default/b"})
    assert rig.resume_watches() == [floor]
    assert [q["resourceVersion"] for q in rig.streaming_lists()] == [floor]
    assert [m[3] for m in rig.broker.of("begin")] == [1, 2]


def test_a_bookmark_is_a_mark(rig):
    assert requests.post(f"{rig.server.url}/_deltawire/bookmark", timeout=30).json() == {"asked": 1}
    rig.broker.until(lambda: rig.broker.of("mark"))


def test_a_list_in_pages_brings_everything_and_removes_what_is_gone(monkeypatch, api_server_factory):
    monkeypatch.setattr("deltawire.reflector.main.ServerTraits", lambda: ServerTraits(False))
    monkeypatch.setattr("deltawire.reflector.list_plan.PAGE_ITEMS", 7)
    with Rig(api_server_factory) as rig:
        rig.create(*(f"p{n:02}" for n in range(20)))
        rig.broker.until(lambda: len(rig.broker.objects.get(PODS, {})) == 20)
        rig.broker.until(lambda: rig.broker.of("end"))
        rig.stop_reflector()
        rig.delete("p03")
        rig.server.compact()
        rig.server.requests.clear()
        rig.start_reflector()
        rig.broker.until(lambda: len(rig.broker.objects[PODS]) == 19)
        assert [q.get("resourceVersion", "") for q in rig.requests("list")] == [
            rig.broker.of("end")[0][-1],
            "",
            "",
        ]
        assert rig.broker.of("end")[-1][4] == 19
        assert all(b'"kind":"Pod"' in obj for obj in rig.broker.objects[PODS].values())


def test_a_410_on_one_namespace_lists_only_that_stream(api_server_factory):
    with Rig(api_server_factory, [{"resource": "pods", "namespaces": ["default", "kube-system"]}]) as rig:
        rig.broker.until(lambda: len(rig.broker.of("end")) == 2)
        arrives(rig, "a")
        arrives(rig, "b", "kube-system")
        rig.stop_reflector()
        rig.server.requests.clear()
        rig.create("c")
        rig.server.compact()
        # A bookmark said that nothing of kube-system changed up to now, so its version is kept.
        rig.broker.accepted[PODS, "kube-system"] = str(rig.server.call(lambda core: core.store.version))
        before = len(rig.broker.of("begin"))
        rig.start_reflector()
        rig.broker.until(lambda: "default/c" in rig.broker.objects[PODS])
        rig.broker.until(lambda: len(rig.broker.of("end")) == 3)
        assert [m[2] for m in rig.broker.of("begin")[before:]] == ["default"]
        assert set(rig.broker.objects[PODS]) == {"default/a", "default/c", "kube-system/b"}
