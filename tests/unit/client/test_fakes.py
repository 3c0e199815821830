"""Calls as actions, reactors and fake watches, without a server."""

import threading
from typing import Any

import pytest

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.fakes.actions import Action, action_of
from deltawire.client.fakes.fake import ACTIONS_MAX, Fake
from deltawire.client.fakes.rest import FakeRESTClient
from deltawire.client.fakes.watch import EVENTS_MAX, FakeWatch
from deltawire.client.metadata import MetadataClient
from deltawire.client.rest.call import Call
from deltawire.client.schema import GroupVersionResource
from deltawire.client.typed.clientset import Clientset
from deltawire.client.typed.models import models
from deltawire.common.errors import CapacityError, ConfigError, StatusError, TransportError

core, meta = models("core_v1"), models("meta_v1")
PODS = GroupVersionResource("", "v1", "pods")
END_S = 30.0


def pod(name: str) -> Any:
    return core.Pod(metadata=meta.ObjectMeta(name=name))


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def clientset(fake: Fake) -> Clientset:
    """With nothing behind the reactors: whatever gets through is refused."""
    return Clientset(FakeRESTClient(ClientConfig("http://127.0.0.1:1"), fake))


@pytest.mark.parametrize(
    ("method", "path", "params", "verb", "place"),
    [
        ("GET", "/api/v1/namespaces/a/pods/b", (), "get", (PODS, "a", "b", "")),
        ("GET", "/api/v1/pods", (), "list", (PODS, "", "", "")),
        ("GET", "/api/v1/namespaces/a/pods", (("watch", "true"),), "watch", (PODS, "a", "", "")),
        ("GET", "/api/v1/namespaces/a/pods/b/log", (), "get", (PODS, "a", "b", "log")),
        ("POST", "/api/v1/namespaces/a/pods", (), "create", (PODS, "a", "", "")),
        ("POST", "/api/v1/namespaces/a/pods/b/eviction", (), "create", (PODS, "a", "b", "eviction")),
        ("PUT", "/api/v1/namespaces/a/pods/b/status", (), "update", (PODS, "a", "b", "status")),
        ("PATCH", "/api/v1/namespaces/a/pods/b", (), "patch", (PODS, "a", "b", "")),
        ("DELETE", "/api/v1/namespaces/a/pods/b", (), "delete", (PODS, "a", "b", "")),
        ("DELETE", "/api/v1/namespaces/a/pods", (), "delete-collection", (PODS, "a", "", "")),
        (
            "GET",
            "/api/v1/namespaces/a",
            (),
            "get",
            (GroupVersionResource("", "v1", "namespaces"), "", "a", ""),
        ),
        (
            "PUT",
            "/api/v1/namespaces/a/finalize",
            (),
            "update",
            (GroupVersionResource("", "v1", "namespaces"), "", "a", "finalize"),
        ),
        ("GET", "/apis/apps/v1/deployments", (), "list", (("apps", "v1", "deployments"), "", "", "")),
        ("GET", "/version", (), "get", (("", "", ""), "", "", "")),
        ("GET", "/apis/apps/v1", (), "get", (("", "", ""), "", "", "")),
    ],
)
def test_a_call_is_told_as_verb_and_place(
    method: str, path: str, params: Any, verb: str, place: tuple[Any, ...]
) -> None:
    action = action_of(Call(method, path, params))
    assert action.verb == verb
    assert (action.resource, action.namespace, action.name, action.subresource) == place


@pytest.mark.parametrize(
    ("resource", "subresource", "pattern", "is_covered"),
    [
        ("pods", "", "*", True),
        ("pods", "", "pods", True),
        ("pods", "status", "pods", True),
        ("pods", "status", "pods/status", True),
        ("pods", "", "pods/status", False),
        ("pods", "log", "pods/status", False),
        ("pods", "", "services", False),
        ("pods", "", "pod", False),
        ("pods", "", "", False),
        ("pods", "", "/status", False),
    ],
)
def test_a_pattern_covers_a_resource_with_its_subresources(
    resource: str, subresource: str, pattern: str, is_covered: bool
) -> None:
    action = Action("get", "/x", GroupVersionResource("", "v1", resource), subresource=subresource)
    assert action.matches("get", pattern) is is_covered
    assert action.matches("*", pattern) is is_covered
    assert not action.matches("list", pattern)


def test_reactors_are_asked_in_order_until_one_answers(fake: Fake, clientset: Clientset) -> None:
    asked = []

    def reactor(name: str, answer: Any) -> Any:
        def react(action: Action) -> Any:
            asked.append(name)
            return answer

        return react

    fake.add_reactor("get", "pods", reactor("second", pod("found")))
    fake.add_reactor("*", "*", reactor("last", pod("other")))
    fake.prepend_reactor("*", "pods", reactor("first", None))
    fake.prepend_reactor("delete", "pods", reactor("none", {}))
    assert clientset.core_v1().pods("default").get("a").metadata.name == "found"
    assert asked == ["first", "second"]
    clientset.core_v1().pods("default").delete("a")
    assert clientset.core_v1().nodes().get("n").metadata.name == "other"
    assert asked == ["first", "second", "none", "last"]


def test_what_a_reactor_raises_is_what_the_caller_gets_and_is_not_sent_again(
    fake: Fake, clientset: Clientset
) -> None:
    error = StatusError(429, "TooManyRequests", "busy", retry_after_s=1)

    def busy(action: Action) -> None:
        raise error

    fake.prepend_reactor("update", "pods/status", busy)
    with pytest.raises(StatusError) as raised:
        clientset.core_v1().pods("default").update_status(pod("a"))
    assert raised.value is error
    assert [(action.verb, action.subresource) for action in fake.actions] == [("update", "status")]


def test_an_answer_may_be_typed_a_dict_text_or_a_list(fake: Fake, clientset: Clientset) -> None:
    pods = clientset.core_v1().pods("default")
    fake.add_reactor("get", "pods/log", lambda action: "one\ntwo\n")
    fake.add_reactor("list", "pods", lambda action: core.PodList(items=[pod("a")], metadata=meta.ListMeta()))
    fake.add_reactor("get", "pods", lambda action: {"metadata": {"name": action.name}})
    assert pods.get("b").metadata.name == "b"
    assert [item.metadata.name for item in pods.list().items] == ["a"]
    assert pods.get_logs("b").do().raw == b"one\ntwo\n"
    assert b"".join(pods.get_logs("b", follow=True).stream()) == b"one\ntwo\n"
    only = MetadataClient(clientset.rest).resource(PODS).namespace("default")
    assert only.get("c").metadata.name == "c"


def test_discovery_can_be_answered_by_its_path(fake: Fake, clientset: Clientset) -> None:
    fake.add_reactor("get", "/version", lambda action: {"gitVersion": "v9.9.9"})
    assert clientset.discovery().server_version().git_version == "v9.9.9"
    assert [action.path for action in fake.actions] == ["/version"]


def test_a_call_without_reactors_goes_where_the_client_leads(clientset: Clientset, fake: Fake) -> None:
    with pytest.raises(TransportError, match="refused"):
        clientset.core_v1().pods("default").delete("a")
    assert len(fake.actions) == 1


def test_actions_are_cleared_and_the_oldest_go_at_the_bound(fake: Fake) -> None:
    for number in range(ACTIONS_MAX + 2):
        fake.meet(Action("get", str(number)))
    assert (len(fake.actions), fake.actions[0].path) == (ACTIONS_MAX, "2")
    fake.clear_actions()
    assert fake.actions == []


def test_a_patch_says_its_type(fake: Fake, clientset: Clientset) -> None:
    fake.add_reactor("patch", "pods", lambda action: pod("a"))
    pods = clientset.core_v1().pods("default")
    pods.patch("a", [{"op": "remove", "path": "/spec"}], patch_type="json")
    pods.apply(pod("a"), field_manager="me")
    one, two = fake.actions
    assert (one.patch_type, one.object) == ("json", [{"op": "remove", "path": "/spec"}])
    assert (two.patch_type, two.object["metadata"], two.params["fieldManager"]) == (
        "apply",
        {"name": "a"},
        "me",
    )


def test_a_watch_reactor_is_a_kind_of_its_own(fake: Fake) -> None:
    with pytest.raises(ConfigError, match="prepend_watch_reactor"):
        fake.prepend_reactor("watch", "pods", lambda action: None)


def test_a_fake_watch_sends_what_it_is_told(fake: Fake, clientset: Clientset) -> None:
    events = FakeWatch()
    fake.prepend_watch_reactor("pods", lambda action: events)
    fake.prepend_reactor("*", "*", lambda action: {})
    with clientset.core_v1().pods("default").watch(label_selector="a=b") as watch:
        events.add(pod("a"))
        events.modify({"metadata": {"name": "a"}})
        events.delete(pod("a"))
        events.bookmark({"metadata": {"resourceVersion": "7"}})
        assert [next(watch).type for _ in range(4)] == ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
        events.error(StatusError(410, "Expired", "too old"))
        with pytest.raises(StatusError, match="too old") as raised:
            next(watch)
    assert raised.value.is_expired
    (action,) = fake.actions
    assert (action.verb, action.namespace, action.params["labelSelector"]) == ("watch", "default", "a=b")


def test_a_fake_watch_that_stops_ends_in_good_order_and_later_events_go_nowhere(
    fake: Fake, clientset: Clientset
) -> None:
    events = FakeWatch()
    fake.add_watch_reactor("*", lambda action: events)
    watch = clientset.core_v1().pods("default").watch()
    events.add(pod("a"))
    events.stop()
    events.add(pod("b"))
    assert [event.object.metadata.name for event in watch] == ["a"]


def test_events_that_one_watch_left_are_the_next_ones(fake: Fake, clientset: Clientset) -> None:
    events = FakeWatch()
    fake.add_watch_reactor("*", lambda action: events)
    pods = clientset.core_v1().pods("default")
    for name in "ab":
        events.add(pod(name))
    for name in "ab":
        with pods.watch() as watch:
            assert next(watch).object.metadata.name == name


def test_a_waiting_reader_of_a_fake_watch_is_ended_from_another_thread(
    fake: Fake, clientset: Clientset
) -> None:
    fake.add_watch_reactor("*", lambda action: FakeWatch())
    watch = clientset.core_v1().pods("default").watch()
    seen: list[Any] = []
    reader = threading.Thread(target=lambda: seen.extend(watch))
    reader.start()
    watch.stop()
    reader.join(END_S)
    assert not reader.is_alive()
    assert seen == []


def test_a_fake_watch_that_is_silent_for_too_long_is_a_time_out(fake: Fake, clientset: Clientset) -> None:
    fake.add_watch_reactor("*", lambda action: FakeWatch())
    with (
        clientset.core_v1().pods("default").watch(read_timeout_s=0.05) as watch,
        pytest.raises(TransportError, match="silent"),
    ):
        next(watch)


def test_a_fake_watch_that_nobody_reads_has_a_bound() -> None:
    events = FakeWatch()
    for _ in range(EVENTS_MAX):
        events.add({})
    with pytest.raises(CapacityError):
        events.add({})


def test_reactors_run_one_at_a_time(fake: Fake, clientset: Clientset) -> None:
    inside, most = 0, 0

    def react(action: Action) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.002)
        inside -= 1
        return pod(action.name)

    fake.add_reactor("get", "pods", react)
    pods = clientset.core_v1().pods("default")
    threads = [threading.Thread(target=pods.get, args=(f"p{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(END_S)
    assert (most, len(fake.actions)) == (1, 8)
