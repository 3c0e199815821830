"""How a stream watches and what it does when that fails (P6, P8)."""

import random

import pytest

from deltawire.common.errors import StateError, StatusError, TransportError
from deltawire.reflector.action import Begin, Cancel, Deltas, End, List, Mark, Watch
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.connection import IDLE_S
from deltawire.reflector.list_plan import ServerTraits
from deltawire.reflector.machine import Machine
from deltawire.reflector.split import Batch
from deltawire.reflector.states import State
from tests.support.reflector_bench import (
    EXPIRED,
    REFUSED,
    TOO_LARGE,
    added,
    bookmark,
    failed_event,
    is_resume,
    marker,
    page,
    row,
    versions_of,
)

BUSY = StatusError(429, "TooManyRequests", "slow down", retry_after_s=7.0)
INTERNAL = StatusError(500, "InternalError", "oops")
GARBAGE = TransportError("an event cannot be read", reason="garbage")
RESET = TransportError("http://here cut the connection", reason="reset")


def test_a_stream_resumes_with_one_watch_and_no_list(bench):
    [request] = bench.start(resume="10", floor="12")
    assert isinstance(request, Watch)
    assert not request.is_list
    assert request.params == {
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "450",
        "resourceVersion": "10",
    }


def test_the_watchs_time_out_is_drawn_from_five_to_ten_minutes():
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    machine = Machine(Backoff(), ServerTraits(), rng.random)
    drawn = {int(machine.start(0.0, "1", "", 1)[-1].params["timeoutSeconds"]) for _ in range(300)}
    assert min(drawn) >= 300
    assert max(drawn) < 600
    assert len(drawn) > 100


def test_events_move_the_version(bench):
    bench.watching("10")
    assert bench.batch(added("11", "12")) == [Deltas([row(version="11"), row(version="12")], "12")]
    assert bench.machine.version == bench.machine.floor == "12"


def test_a_bookmark_is_a_mark_and_moves_the_version(bench):
    bench.watching("10")
    assert bench.batch(bookmark("30")) == [Mark("30")]
    assert is_resume(bench.closed(), "30")


def test_the_bookmark_behind_deltas_is_the_version_of_all(bench):
    bench.watching("10")
    batch = added("11")
    batch.is_bookmark, batch.version = True, "15"
    assert bench.batch(batch) == [Deltas([row(version="11")], "15")]


def test_a_normal_close_resumes_at_once(bench):
    bench.watching("10")
    bench.batch(added("11"))
    assert is_resume(bench.closed(), "11")
    assert bench.machine.state is State.WATCHING


def test_a_quiet_watch_that_ends_properly_resumes_at_once(bench):
    assert is_resume(bench.watching("10").closed(after_s=300), "10")


@pytest.mark.parametrize("error", [REFUSED, BUSY, INTERNAL, RESET, StatusError(403, "Forbidden", "no")])
def test_a_watch_that_cannot_be_opened_is_opened_later_at_the_same_version(bench, error):
    bench.start(resume="10")
    assert bench.failed(error) == []
    assert bench.machine.state is State.BACKOFF
    assert bench.machine.error is error
    assert is_resume(bench.later(10), "10")
    assert bench.machine.lists == 0


def test_the_servers_retry_after_is_heeded(bench):
    bench.start(resume="10")
    bench.failed(BUSY)
    assert bench.later(6.9) == []
    assert is_resume(bench.later(0.2), "10")


def test_an_error_event_about_the_load_resumes_later_at_the_last_version(bench):
    bench.watching("10")
    bench.batch(added("11"))
    assert bench.batch(failed_event(BUSY)) == [Cancel()]
    assert is_resume(bench.later(10), "11")


@pytest.mark.parametrize("opening", [True, False])
@pytest.mark.parametrize("error", [EXPIRED, TOO_LARGE, StatusError(400, "BadRequest", "invalid version")])
def test_a_gone_watch_lists_again_at_the_floor(bench, opening, error):
    bench.start(resume="10", floor="12")
    if opening:
        actions = bench.failed(error)
    else:
        bench.opened()
        bench.batch(added("13"))
        actions = bench.batch(failed_event(error))
    assert versions_of(actions) == ("Watch", "12" if opening else "13")
    assert bench.machine.state is State.LISTING


def test_a_watch_that_is_gone_right_after_its_list_is_not_a_tight_loop(bench):
    bench.start()
    bench.batch(marker("20"))
    bench.batch(failed_event(EXPIRED))
    assert bench.machine.state is State.BACKOFF
    assert versions_of(bench.later(1)) == ("Watch", "20")
    assert bench.machine.state is State.LISTING


@pytest.mark.parametrize("news", [added("9"), bookmark("9")])
def test_versions_that_go_back_are_a_quorum_list_and_nothing_of_them_is_published(bench, news):
    """The server was set back: what is held may never have been."""
    bench.watching("10")
    actions = bench.batch(news)
    assert [type(action) for action in actions] == [Cancel, Watch]
    assert actions[1].is_list
    assert "resourceVersion" not in actions[1].params
    [*_, end] = bench.batch(marker("8", "a"))
    assert end == End(1, 1, "8")
    assert (bench.machine.version, bench.machine.floor) == ("8", "8")


def test_a_deletion_with_the_version_of_the_objects_last_change_is_no_step_back(bench):
    bench.watching("10")
    assert len(bench.batch(Batch(deltas=[row("D", version="7")], version="7"))) == 1
    assert bench.machine.lists == 0


def test_a_version_that_cannot_be_compared_is_no_step_back(bench):
    bench.watching("x")
    bench.batch(added("a"))
    assert bench.machine.lists == 0


def test_a_person_can_ask_for_a_list_of_what_the_server_has_now(bench):
    bench.watching("10")
    cancel, request = bench.machine.relist(bench.now_s)
    assert isinstance(cancel, Cancel)
    assert request.is_list
    assert "resourceVersion" not in request.params
    bench.machine.stop(StateError("stopped"))
    assert bench.machine.relist(bench.now_s) == []


def test_a_stream_in_doubt_is_not_watching_until_an_event_or_a_bookmark_comes(bench):
    """P8: accepted is not yet kept."""
    bench.watching("10")
    bench.closed(after_s=0.5)
    assert bench.machine.is_doubtful
    bench.later(1)
    bench.opened()
    assert bench.machine.state is State.OPENING
    assert "at once" in str(bench.machine.error)
    bench.batch(bookmark("11"))
    assert (bench.machine.state, bench.machine.error) == (State.WATCHING, None)
    assert not bench.machine.is_doubtful


def test_a_watch_that_lives_on_is_watching_again(bench):
    bench.watching("10")
    bench.closed(after_s=0.5)
    bench.later(1)
    bench.opened()
    bench.later(4.9)
    assert bench.machine.state is State.OPENING
    bench.later(0.1)
    assert bench.machine.state is State.WATCHING


def test_a_normal_end_leaves_no_doubt(bench):
    bench.watching("10")
    bench.closed(after_s=300)
    assert bench.machine.state is State.WATCHING


def test_a_refused_list_goes_on_watching_at_the_held_version_and_gets_pages_then_any_version(bench):
    bench.watching("10")
    asked = [bench.batch(failed_event(INTERNAL))[-1]]
    for _ in range(2):
        bench.failed(INTERNAL)
        assert bench.machine.state is State.BACKOFF
        watched = 0
        while bench.machine.state is not State.LISTING:
            actions = bench.later(0.1)
            watched += is_resume(actions, "10") if actions and bench.machine.state is not State.LISTING else 0
        assert watched
        asked.append(actions[-1])
    assert [type(request) for request in asked] == [Watch, List, List]
    assert [request.params.get("resourceVersion") for request in asked] == ["10", "10", None]


def test_a_silent_watch_is_silent_until_the_next_one_is_accepted(bench):
    bench.watching("10")
    cancel, _ = bench.later(IDLE_S, silent_s=IDLE_S)
    assert cancel == Cancel(is_silent=True)
    assert bench.machine.state is State.SILENT
    bench.opened()
    assert bench.machine.state is State.WATCHING


def test_a_very_short_watch_backs_off_and_resumes_without_a_list(bench):
    bench.watching("10")
    assert bench.closed(after_s=0.9) == []
    assert bench.machine.state is State.BACKOFF
    assert "at once" in str(bench.machine.error)
    assert is_resume(bench.later(1), "10")


def test_a_short_watch_with_an_event_is_a_normal_close(bench):
    bench.watching("10")
    bench.batch(added("11"))
    assert is_resume(bench.closed(after_s=0.1), "11")


def test_a_watch_cut_after_it_worked_resumes_at_once(bench):
    bench.watching("10")
    bench.batch(added("11"))
    assert is_resume(bench.failed(RESET, after_s=0.1), "11")


def test_an_unreadable_event_resumes_and_only_the_third_in_a_row_lists(bench):
    bench.watching("10")
    for _ in range(2):
        bench.batch(failed_event(GARBAGE))
        assert is_resume(bench.later(100), "10")
    assert versions_of(bench.batch(failed_event(GARBAGE))) == ("Watch", "10")
    assert bench.machine.state is State.LISTING


def test_a_readable_event_between_two_unreadable_ones_is_progress(bench):
    bench.watching("10")
    for version in ("11", "12", "13", "14"):
        bench.batch(added(version))
        bench.batch(failed_event(GARBAGE))
        assert is_resume(bench.later(100), version)
    assert bench.machine.lists == 0


def test_backoff_doubles_to_thirty_seconds_and_starts_again_only_after_real_quiet(bench):
    bench.start(resume="10")
    delays = []
    for _ in range(7):
        bench.failed(REFUSED)
        delays.append(round(bench.machine.retry_at_s - bench.now_s, 3))
        bench.later(bench.machine.retry_at_s - bench.now_s)
    assert delays == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
    bench.opened()
    bench.later(60)
    bench.failed(REFUSED)
    assert bench.machine.retry_at_s - bench.now_s == 30.0
    bench.later(30)
    bench.opened()
    bench.later(121)
    bench.failed(REFUSED)
    assert bench.machine.retry_at_s - bench.now_s == pytest.approx(0.8)


def test_an_idle_watch_is_replaced_after_150_seconds_while_no_bookmark_was_seen(bench):
    bench.watching("10")
    assert bench.later(149, silent_s=149) == []
    cancel, request = bench.later(1, silent_s=IDLE_S)
    assert isinstance(cancel, Cancel)
    assert request.params["resourceVersion"] == "10"
    assert "nothing for 150 s" in str(bench.machine.error)


def test_the_idle_deadline_is_two_and_a_half_bookmark_intervals_of_this_connection(bench):
    bench.watching("10")
    bench.batch(bookmark("11"))
    bench.later(40)
    bench.batch(bookmark("12"))
    assert bench.machine.bookmark_interval_s == 40
    assert bench.later(99, silent_s=99) == []
    assert len(bench.later(1, silent_s=100)) == 2
    assert bench.machine.bookmark_interval_s is None


def test_a_bookmark_that_comes_early_does_not_shorten_the_deadline(bench):
    bench.watching("10")
    for after_s in (0, 60, 2):
        bench.later(after_s)
        bench.batch(bookmark("11"))
    assert bench.later(149, silent_s=149) == []
    assert len(bench.later(1, silent_s=150)) == 2


def test_silence_of_our_own_making_is_no_idleness(bench):
    bench.watching("10")
    assert bench.later(10_000) == []
    assert bench.machine.state is State.WATCHING


def test_synthetic_events_of_a_list_at_zero_do_not_move_the_version(bench):
    bench.watching("0")
    assert bench.batch(added("12", "11")) == [Deltas([row(version="12"), row(version="11")], "0")]
    assert bench.batch(bookmark("13")) == [Mark("13")]
    assert bench.machine.version == "13"


def test_a_stop_ends_the_stream_with_the_reason_until_the_next_start(bench):
    bench.watching("10")
    reason = StateError("another cluster")
    assert bench.machine.stop(reason) == [Cancel()]
    assert (bench.machine.state, bench.machine.error) == (State.STOPPED, reason)
    assert bench.later(10_000) == []
    assert is_resume(bench.start(resume="10"), "10")
    assert bench.machine.error is None


def test_a_stop_during_a_backoff_leaves_no_timer_behind(bench):
    bench.start(resume="10")
    bench.failed(REFUSED)
    assert bench.machine.stop(StateError("another cluster")) == []
    assert bench.later(10_000) == []


def mishap(rng, machine, now_s):
    """Something that happens to a watch and says nothing against its version."""
    if machine.state is State.BACKOFF:
        return machine.tick(now_s, None)
    following = str(int(machine.version) + 1)
    what = rng.randrange(5)
    if what == 0:
        return machine.closed(now_s)
    if what == 1:
        return machine.failed(now_s, rng.choice([REFUSED, RESET, BUSY]))
    if what == 2:
        return machine.tick(now_s, now_s - 200)
    return machine.batch(now_s, added(following) if what == 3 else bookmark(following))


def test_no_series_of_failures_leads_to_a_list():
    """P6, on random histories: only watches, each at the last version."""
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(50):
        machine = Machine(Backoff(random=rng.random), ServerTraits(), rng.random)
        now_s = 0.0
        machine.start(now_s, "10", "10", 1)
        for _ in range(100):
            now_s += rng.choice([0.0, 0.5, 5.0, 200.0])
            actions = mishap(rng, machine, now_s)
            assert not any(isinstance(action, Begin | List) for action in actions)
            for request in (action for action in actions if isinstance(action, Watch)):
                assert not request.is_list
                assert request.params["resourceVersion"] == machine.version
        assert machine.lists == 0


def test_an_object_without_a_version_is_told_and_moves_nothing(bench):
    bench.watching("10")
    bare = Batch(deltas=[row(name="norv", version="")])
    assert bench.batch(bare) == [Deltas([row(name="norv", version="")], "10")]
    both = Batch(deltas=[row(version="11"), row(name="norv", version="")], version="11")
    assert bench.batch(both) == [Deltas(both.deltas, "11")]
    assert is_resume(bench.closed(), "11")


def test_a_list_without_a_version_is_followed_by_a_watch_from_anywhere_and_that_by_a_list(paging):
    paging.start()
    [*_, end, watch] = paging.page(page("a", version=""))
    assert (end.version, end.count) == ("", 1)
    assert isinstance(watch, Watch)
    assert "resourceVersion" not in watch.params
    paging.opened()
    synthetic = Batch(deltas=[row(version="7"), row(version="3")], version="3")
    assert paging.batch(synthetic) == [Deltas(synthetic.deltas, "")]
    # No version says where a watch could go on: only a list shows what was deleted since.
    [request] = paging.closed()
    assert isinstance(request, List)


def test_a_streaming_list_without_a_version_ends_with_its_marker(bench):
    bench.start()
    actions = bench.batch(marker("", "a"))
    assert actions[-1].version == ""
    assert bench.machine.state is State.WATCHING


def test_the_first_change_with_a_version_says_where_a_watch_without_one_goes_on(paging):
    paging.start()
    paging.page(page("a", version=""))
    paging.opened()
    paging.batch(Batch(deltas=[row("U", version="12")], version="12"))
    assert is_resume(paging.closed(), "12")
