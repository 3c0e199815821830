"""One shared informer against a played server."""

import logging
import threading

import pytest
from lightkube.models.core_v1 import Pod

from deltawire.common.clock import FakeClock
from deltawire.common.errors import ConfigError, DeltawireError, StatusError
from deltawire.fifo.deltas import Tombstone
from deltawire.local.informer import InformerStateError, SharedIndexInformer
from deltawire.local.notifications import FilteringHandler
from tests.support.informer_rig import PlayedServer, Recorder, running, stored, until


@pytest.fixture
def server():
    return PlayedServer()


@pytest.fixture
def informer(server):
    return SharedIndexInformer("pods", server, random=lambda: 0.0)


@pytest.fixture
def told(informer):
    recorder = Recorder()
    informer.add_event_handler(recorder)
    return recorder


def test_a_handler_is_told_of_what_there_is_and_of_every_change(server, informer, told):
    server.add("a")
    with running(informer):
        until(lambda: told.told == [("add", "default/a", "101")])
        server.modify("a")
        server.add("b")
        server.delete("a")
        until(lambda: len(told.told) == 4)
    assert told.told[1:] == [
        ("update", "default/a", "102"),
        ("add", "default/b", "103"),
        ("delete", "default/a", "104"),
    ]
    assert [event[2] for event in told.events if event[0] == "add"] == [True, False]
    assert isinstance(told.events[0][1], Pod)
    assert told.events[1][1] is told.events[0][1], "old is the object that was told before"
    assert told.faults == []


def test_a_server_without_streaming_lists_is_listed_in_pages(told, informer, server):
    server.has_streaming_lists = False
    server.add("a")
    with running(informer):
        server.add("b")
        until(lambda: len(told.told) == 2)
    assert [verb for verb, _ in server.requests] == ["streaming list", "list", "watch"]


def test_the_cache_has_it_before_the_handler_hears_of_it(server, informer):
    seen = []

    def check(pod):
        seen.append(informer.get_indexer().get_by_key(f"default/{pod.metadata.name}") is pod)

    gone = []
    informer.add_event_handler(
        on_add=check,
        on_update=lambda old, new: check(new),
        on_delete=lambda pod: gone.append(informer.get_indexer().get_by_key("default/a")),
    )
    server.add("a")
    with running(informer):
        until(lambda: len(seen) == 1)
        server.modify("a")
        until(lambda: len(seen) == 2)
        server.delete("a")
        until(lambda: gone)
    assert seen == [True, True]
    assert gone == [None]


def test_a_deletion_that_only_a_list_shows_is_a_tombstone_with_the_last_known_object(server, informer, told):
    server.add("a")
    server.add("b")
    with running(informer):
        until(lambda: len(told.told) == 2)
        server.delete("a", is_seen=False)
        server.modify("b", is_seen=False)
        server.lose_history()
        until(lambda: len(told.told) == 4)
        assert stored(informer) == server.versions
    [(_, tombstone)] = [event for event in told.events if event[0] == "delete"]
    assert isinstance(tombstone, Tombstone)
    assert tombstone.key == "default/a"
    assert tombstone.obj.metadata.resourceVersion == "101"
    assert ("update", "default/b", "104") in told.told
    assert told.faults == []


def test_unchanged_objects_of_another_list_are_told_to_nobody_who_wants_no_resync(server, informer, told):
    server.add("a")
    with running(informer):
        until(lambda: len(told.told) == 1)
        server.lose_history()
        until(lambda: server.count("streaming list") == 2 and server.open_watches == 1)
        server.add("b")
        until(lambda: len(told.told) == 2)
    assert told.told == [("add", "default/a", "101"), ("add", "default/b", "102")]


def test_a_watch_that_was_cut_goes_on_where_it_was(server, informer, told):
    server.add("a")
    with running(informer):
        server.add("b")
        until(lambda: len(told.told) == 2)
        server.cut()
        server.add("c")
        until(lambda: len(told.told) == 3)
    assert server.count("streaming list") == 1
    assert told.faults == []


def test_a_recreation_that_nobody_watched_is_an_update_between_two_uids(server, informer, told):
    server.add("a")
    with running(informer):
        until(lambda: told.told)
        server.delete("a", is_seen=False)
        server.add("a", is_seen=False)
        server.lose_history()
        until(lambda: len(told.told) == 2)
    _, old, new = told.events[1]
    assert (old.metadata.uid, new.metadata.uid) == ("uid-1", "uid-2")


def test_a_late_handler_is_told_of_all_there_is_first(server, informer):
    for name in "abc":
        server.add(name)
    with running(informer):
        late = Recorder()
        registration = informer.add_event_handler(late)
        server.add("d")
        until(lambda: len(late.told) == 4)
        assert registration.has_synced()
    assert sorted(late.told[:3]) == [("add", f"default/{n}", str(101 + i)) for i, n in enumerate("abc")]
    assert [event[2] for event in late.events] == [True, True, True, False]


def test_handlers_added_while_everything_changes_miss_nothing(server, informer):
    for number in range(50):
        server.add(f"p{number}")
    late: list[Recorder] = []
    with running(informer):
        changing = threading.Thread(target=lambda: [server.modify(f"p{n % 50}") for n in range(400)])
        changing.start()
        for _ in range(10):
            late.append(Recorder())
            informer.add_event_handler(late[-1])
        changing.join()
        for recorder in late:
            until(lambda r=recorder: r.versions == server.versions)
    assert [recorder.faults for recorder in late] == [[]] * 10


def test_a_handler_is_synced_when_its_last_first_call_has_returned(server, informer):
    server.add("a")
    server.add("b")
    slow = Recorder()
    slow.gate.clear()
    registration = informer.add_event_handler(slow)
    assert not registration.has_synced()
    with running(informer):
        assert informer.has_synced()
        assert not registration.has_synced()
        slow.gate.set()
        until(registration.has_synced)
    assert len(slow.told) == 2


def test_an_empty_cluster_is_synced_too(informer, told):
    with running(informer):
        assert informer.get_indexer().list() == []
        assert informer.get_indexer().resource_version == "100"
        assert informer.last_sync_resource_version() == "100"


def test_a_handler_that_raises_is_logged_and_stops_nobody(server, informer, told, caplog):
    def fail(pod):
        raise ValueError(f"no {pod.metadata.name}")

    failing = informer.add_event_handler(on_add=fail)
    exiting = informer.add_event_handler(on_add=lambda pod: exit(3))
    server.add("a")
    with running(informer):
        until(lambda: told.told and failing.status().failed and exiting.status().failed)
        server.add("b")
        until(lambda: len(told.told) == 2 and failing.status().failed == 2)
        assert failing.status().error == "ValueError: no b"
        assert not failing.has_synced(), "it does not know what it was to know"
    lines = [record for record in caplog.records if "fail of pods raised" in record.getMessage()]
    assert len(lines) == 1, "one line for many failures in a row"
    assert lines[0].exc_info is not None


def test_a_slow_handler_does_not_hold_up_another(server, informer, told):
    slow = Recorder()
    slow.gate.clear()
    informer.add_event_handler(slow)
    with running(informer):
        for number in range(100):
            server.add(f"p{number}")
        until(lambda: len(told.told) == 100)
        assert slow.told == []
        slow.gate.set()
        until(lambda: len(slow.told) == 100)


def test_at_the_bound_the_informer_waits_and_nothing_is_dropped(server, informer, told, caplog):
    slow = Recorder()
    slow.gate.clear()
    registration = informer.add_event_handler(slow, notifications_max=10)
    with running(informer):
        for number in range(300):
            server.add(f"p{number}")
        # One in the call, ten that wait; the next one is not even stored.
        until(lambda: registration.status().held_up and registration.status().waiting == 10)
        assert len(informer.get_indexer()) <= 11
        assert len(told.told) <= 11
        slow.gate.set()
        until(lambda: len(slow.told) == 300 and len(told.told) == 300)
        assert stored(informer) == server.versions
    assert "is slow: 10 notifications wait, and the informer for it" in caplog.text
    assert slow.faults == []


def test_removing_the_handler_that_is_waited_for_lets_the_informer_go_on(server, informer, told):
    stuck = Recorder()
    stuck.gate.clear()
    registration = informer.add_event_handler(stuck, notifications_max=1)
    with running(informer):
        for number in range(20):
            server.add(f"p{number}")
        until(lambda: registration.status().held_up)
        informer.remove_event_handler(registration)
        until(lambda: len(told.told) == 20)
        stuck.gate.set()
        assert registration.shut_down(20)
    assert len(stuck.told) <= 1


def test_stopping_ends_an_informer_that_waits_for_a_handler(server, informer):
    stuck = Recorder()
    stuck.gate.clear()
    registration = informer.add_event_handler(stuck, notifications_max=1)
    informer.start()
    for number in range(20):
        server.add(f"p{number}")
    until(lambda: registration.status().held_up)
    informer.stop()
    stuck.gate.set()
    assert informer.join(20)


def test_a_removed_handler_hears_nothing_more(server, informer, told):
    gone = Recorder()
    registration = informer.add_event_handler(gone)
    with running(informer):
        server.add("a")
        until(lambda: gone.told and told.told)
        assert registration.shut_down(20)
        server.add("b")
        until(lambda: len(told.told) == 2)
        informer.remove_event_handler(registration)
        registration.remove()
    assert len(gone.told) == 1
    with pytest.raises(TypeError, match="a str is no registration"):
        informer.remove_event_handler("pods")


def test_a_handler_may_be_removed_before_the_start_and_shut_itself_down(server, informer):
    never, ends = Recorder(), []
    informer.add_event_handler(never).remove()
    late: list = []
    late.append(informer.add_event_handler(on_add=lambda pod: ends.append(late[0].shut_down())))
    server.add("a")
    server.add("b")
    with running(informer):
        until(lambda: ends)
        server.add("c")
        until(lambda: len(informer.get_indexer()) == 3)
    assert ends == [False], "it does not wait for itself"
    assert never.told == []


def test_the_same_handler_may_be_added_twice(server, informer, told):
    again = informer.add_event_handler(told)
    server.add("a")
    with running(informer):
        until(lambda: len(told.told) == 2)
        again.shut_down(20)
        server.modify("a")
        until(lambda: len(told.told) == 3)


def test_a_stopped_informer_takes_no_handler_and_is_not_started_again(server, informer, caplog):
    with running(informer):
        informer.start()
        assert "is not started again" in caplog.text
        assert server.count("streaming list") == 1
    with pytest.raises(InformerStateError, match="handler print of pods was not added"):
        informer.add_event_handler(on_add=print)
    with pytest.raises(InformerStateError, match="no index is added"):
        informer.add_indexers({"x": lambda pod: []})
    informer.start()
    assert informer.is_stopped
    assert informer.status().state == "stopped"
    assert server.count("streaming list") == 1


def test_what_must_be_set_before_the_start_is_refused_after_it(informer):
    with running(informer):
        for late in (informer.set_transform, informer.set_watch_error_handler):
            with pytest.raises(InformerStateError, match="informer pods has started"):
                late(lambda anything: anything)


def test_run_comes_back_when_it_is_stopped(informer):
    stop = threading.Event()
    running_thread = threading.Thread(target=informer.run, args=(stop,))
    running_thread.start()
    assert informer.wait_for_cache_sync(stop, 20)
    stop.set()
    running_thread.join(20)
    assert not running_thread.is_alive()


def test_a_wait_for_a_cache_ends_with_its_stop_or_its_time(server, informer):
    server.failures = [StatusError(403, "Forbidden", "no")] * 1000
    informer.start()
    stop = threading.Event()
    assert not informer.wait_for_cache_sync(stop, 0.01)
    stop.set()
    assert not informer.wait_for_cache_sync(stop)
    assert "no" in informer.status().error
    informer.stop()
    assert not informer.wait_for_cache_sync()
    assert informer.join(20)


# -- resync


def resyncing(server, resync_s=10.0):
    clock = FakeClock()
    informer = SharedIndexInformer("pods", server, resync_s=resync_s, clock=clock, random=lambda: 0.0)
    informer.turns = 0
    look = informer._resync

    def counted(queue):
        informer.turns += 1
        return look(queue)

    informer._resync = counted
    return clock, informer


def advance(clock, seconds, informer):
    """Second by second, each of which the informer has seen."""
    for _ in range(seconds):
        until(lambda: clock.waiters() > 0)
        before = informer.turns
        clock.advance(1.0)
        until(lambda n=before: informer.turns > n)


def test_a_resync_repeats_what_is_cached_to_those_who_asked_for_it(server):
    clock, informer = resyncing(server)
    asked, other = Recorder(), Recorder()
    informer.add_event_handler(asked)
    informer.add_event_handler(other, resync_s=0)
    server.add("a")
    with running(informer):
        until(lambda: asked.told and other.told)
        advance(clock, 12, informer)
        until(lambda: len(asked.told) == 2)
        advance(clock, 10, informer)
        until(lambda: len(asked.told) == 3)
    assert asked.told == [("add", "default/a", "101")] + [("update", "default/a", "101")] * 2
    assert other.told == [("add", "default/a", "101")]
    assert server.count("streaming list") == 1, "a resync asks no server"


def test_handlers_are_resynced_each_in_its_own_period(server):
    clock, informer = resyncing(server)
    often, seldom = Recorder(), Recorder()
    informer.add_event_handler(seldom, resync_s=20)
    informer.add_event_handler(often, resync_s=5)
    server.add("a")
    with running(informer):
        until(lambda: often.told and seldom.told)
        advance(clock, 26, informer)
        until(lambda: len(often.told) == 6)
        assert len(seldom.told) == 2


def test_a_period_that_is_too_short_or_too_late_is_lengthened_with_a_warning(server, caplog):
    _, informer = resyncing(server)
    short = informer.add_event_handler(on_add=print, resync_s=0.01)
    assert "a resync each 0.01 s is too often, 1 s it is" in caplog.text
    assert short._listener.resync_s == 1.0
    with running(informer):
        late = informer.add_event_handler(on_add=lambda pod: None, resync_s=1.0)
        later = informer.add_event_handler(on_add=lambda pod: None, resync_s=60)
        assert (late._listener.resync_s, later._listener.resync_s) == (1.0, 60)
    _, never = resyncing(server, 0.0)
    registration = never.add_event_handler(on_add=print, resync_s=30)
    assert "a resync each 0 s instead of 30 s" in caplog.text
    assert registration._listener.resync_s == 0


# -- transforms, errors, odd objects


def test_a_transform_sees_every_object_before_it_is_stored(server, informer, told):
    def trim(pod):
        pod.metadata.uid = "trimmed"
        return pod

    informer.set_transform(trim)
    server.add("a")
    with running(informer):
        server.modify("a")
        until(lambda: len(told.told) == 2)
    assert {pod.metadata.uid for _, pod, *_ in told.events} == {"trimmed"}


def test_a_transform_that_raises_loses_one_event_and_makes_a_list_come_again(server, told, informer, caplog):
    broken = ["a"]

    def check(pod):
        if pod.metadata.name in broken:
            raise ValueError("cannot be transformed")
        return pod

    informer.set_transform(check)
    server.add("a")
    informer.start()
    until(lambda: "the list cannot be taken" in informer.status().error)
    assert not informer.has_synced()
    broken[:] = ["b"]
    assert informer.wait_for_cache_sync(timeout_s=30)
    server.add("b")
    server.add("c")
    until(lambda: ("add", "default/c", "103") in told.told)
    assert [name for _, name, _ in told.told] == ["default/a", "default/c"]
    assert informer.status().refused == 1
    assert "object refused: default/b: ValueError" in informer.status().error
    informer.stop()
    assert informer.join(20)


def test_watch_errors_go_to_the_programs_handler_or_to_the_log_once(server, caplog):
    caplog.set_level(logging.WARNING)
    heard: list[DeltawireError] = []
    for failures, on_error in ((1, heard.append), (2, None)):
        server.failures = [StatusError(403, "Forbidden", "pods is forbidden")] * failures
        informer = SharedIndexInformer("pods", server, random=lambda: 0.0)
        if on_error is not None:
            informer.set_watch_error_handler(on_error)
        with running(informer):
            pass
    assert [str(error) for error in heard] == ["pods is forbidden"]
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["informer pods: pods is forbidden"]


def test_an_object_that_cannot_be_read_costs_itself_alone(server, informer, told, caplog):
    server.add("a")
    with running(informer):
        until(lambda: told.told)
        bad = {"metadata": {"name": "bad", "namespace": "default", "resourceVersion": "200", "labels": 3}}
        server.send("ADDED", {"apiVersion": "v1", "kind": "Pod", **bad})
        server.add("b")
        until(lambda: len(told.told) == 2)
        # Its deletion, if it was known, is one nevertheless.
        gone = {"metadata": {"name": "a", "namespace": "default", "resourceVersion": "201", "labels": 3}}
        server.send("DELETED", {"apiVersion": "v1", "kind": "Pod", **gone})
        until(lambda: len(told.told) == 3)
        assert informer.status().refused == 2
    what, tombstone = told.events[2]
    assert (what, tombstone.key, tombstone.obj.metadata.name) == ("delete", "default/a", "a")
    assert "object refused: default/bad" in caplog.text


def test_a_filtering_handler_makes_adds_and_deletions_of_moves(server, informer):
    chosen = Recorder()
    informer.add_event_handler(
        FilteringHandler(lambda pod: (pod.metadata.labels or {}).get("app") == "web", chosen)
    )
    server.add("a")
    with running(informer):
        server.modify("a", labels={"app": "web"})
        server.modify("a", labels={"app": "web", "more": "yes"})
        server.modify("a", labels={"app": "db"})
        server.delete("a")
        server.add("b", labels={"app": "web"})
        until(lambda: len(chosen.told) == 4)
        server.delete("b", is_seen=False)
        server.lose_history()
        until(lambda: len(chosen.told) == 5)
    assert [told[0] for told in chosen.told] == ["add", "update", "delete", "add", "delete"]


def test_a_handler_is_an_object_or_functions_and_never_nothing(informer):
    with pytest.raises(ConfigError, match="at least one of on_add"):
        informer.add_event_handler()
    with pytest.raises(ConfigError, match="not both"):
        informer.add_event_handler(Recorder(), on_add=print)
    with pytest.raises(ConfigError, match="notifications_max"):
        informer.add_event_handler(on_add=print, notifications_max=0)


def test_the_registration_of_another_informer_removes_no_handler(server, informer, told, caplog):
    served = PlayedServer()
    other = SharedIndexInformer("others", served, random=lambda: 0.0)
    heard = Recorder()
    registration = other.add_event_handler(heard)
    with running(informer), running(other):
        server.add("a")
        served.add("a")
        until(lambda: heard.told and told.told)
        informer.remove_event_handler(registration)
        assert "the registration is another informer's" in caplog.text
        server.add("b")
        served.add("b")
        until(lambda: len(heard.told) == 2 and len(told.told) == 2)
        late = Recorder()
        other.add_event_handler(late)
        other.remove_event_handler(registration)
        served.add("c")
        until(lambda: len(late.told) == 3)
    assert len(heard.told) == 2


def test_an_object_without_a_version_is_told_like_any_other(server, informer, told):
    server.add("a")
    with running(informer):
        until(lambda: len(told.told) == 1)
        bare = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "norv", "namespace": "default", "uid": None},
        }
        server.send("ADDED", bare)
        until(lambda: len(told.told) == 2)
        server.send("MODIFIED", bare | {"status": {"phase": "Running"}})
        server.send("DELETED", bare)
        until(lambda: len(told.told) == 4)
        server.add("b")
        until(lambda: len(told.told) == 5)
    assert [kind for kind, *_ in told.told] == ["add", "add", "update", "delete", "add"]
    assert {key for _, key, _ in told.told[1:4]} == {"default/norv"}
    assert told.faults == []
    assert server.count("list") == 0
