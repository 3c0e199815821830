"""How a stream lists (docs/design.md §3)."""

import pytest

from deltawire.common.errors import CapacityError, ConfigError, StatusError, TransportError
from deltawire.reflector.action import Begin, Cancel, Deltas, End, List, Mark, Watch
from deltawire.reflector.list_progress import CHANGES_WITHOUT_MARKER_MAX, WINDOW_BYTES_MIN, WINDOW_S
from deltawire.reflector.states import State
from tests.support.reflector_bench import (
    EXPIRED,
    REFUSED,
    TOO_LARGE,
    added,
    bookmark,
    failed_event,
    items,
    marker,
    page,
    row,
    versions_of,
)

INVALID = StatusError(422, "Invalid", "sendInitialEvents is forbidden")
FORBIDDEN = StatusError(403, "Forbidden", "pods is forbidden")
BUSY = StatusError(429, "TooManyRequests", "slow down", retry_after_s=7.0)


class TestStreamingList:
    def test_a_stream_of_which_nothing_is_known_asks_for_a_streaming_list_without_a_version(self, bench):
        [request] = bench.start()
        assert isinstance(request, Watch)
        assert request.is_list
        assert request.params == {
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "450",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
        }

    def test_a_list_asks_for_the_floor(self, bench):
        assert versions_of(bench.start(floor="90")) == ("Watch", "90")

    def test_begin_comes_with_the_first_item_and_carries_the_generation(self, bench):
        bench.start(generation=4)
        assert bench.opened() == []
        assert bench.batch(items("a")) == [Begin(4), Deltas([row("R", "a")], "")]
        assert bench.batch(items("b")) == [Deltas([row("R", "b")], "")]

    def test_the_marker_ends_the_list_and_the_connection_goes_on_as_the_watch(self, bench):
        bench.start(generation=4)
        bench.batch(items("a", "b"))
        assert bench.batch(marker("20")) == [End(4, 2, "20")]
        assert bench.machine.state is State.WATCHING
        assert bench.batch(added("21")) == [Deltas([row(version="21")], "21")]

    def test_items_that_came_with_the_marker_count(self, bench):
        bench.start()
        assert bench.batch(marker("20", "a")) == [Begin(1), Deltas([row("R", "a")], ""), End(1, 1, "20")]

    def test_an_empty_collection_is_a_list_too(self, bench):
        bench.start()
        assert bench.batch(marker("20")) == [Begin(1), End(1, 0, "20")]

    def test_deletions_before_the_marker_are_not_counted_as_items(self, bench):
        bench.start()
        batch = items("a")
        batch.deltas.append(row("D", "a"))
        bench.batch(batch)
        assert bench.batch(marker("20")) == [End(1, 1, "20")]

    def test_a_plain_bookmark_before_the_marker_ends_nothing(self, bench):
        bench.start()
        bench.batch(items("a"))
        assert bench.batch(bookmark("19")) == []
        assert bench.machine.version == ""

    def test_silence_without_the_marker_falls_back_to_pages_and_is_remembered(self, bench):
        bench.start(floor="5", generation=3)
        bench.opened()
        bench.batch(items("a"))
        assert bench.later(9, silent_s=9) == []
        cancel, request = bench.later(1, silent_s=10)
        assert isinstance(cancel, Cancel)
        assert isinstance(request, List)
        assert request.params == {
            "limit": "500",
            "resourceVersion": "5",
            "resourceVersionMatch": "NotOlderThan",
        }
        assert not bench.traits.has_streaming_lists
        # What had begun is void: the pages are a list of their own.
        assert bench.page(page("a"))[0] == Begin(4)

    @pytest.mark.parametrize("changes", [0, 1])
    def test_a_busy_resource_is_no_list_without_its_marker(self, bench, changes):
        """Case: a server that ignores the wish, and something new or changed every three seconds."""
        bench.start(floor="5")
        bench.opened()
        began_s = bench.now_s
        while bench.machine.has_streaming_lists:
            assert bench.now_s - began_s <= WINDOW_S + 3
            batch = items("a")
            batch.changes_before_marker = changes
            bench.batch(batch)
            bench.later(3, silent_s=3)
        assert bench.machine.state is State.LISTING

    def test_a_large_list_is_not_cut_however_long_it_takes(self, bench):
        bench.start()
        bench.opened()
        for _ in range(1000):
            bench.batch(items(*"abcdefghij"))
            assert bench.later(1, silent_s=1) == []
        bench.batch(marker("20"))
        assert bench.machine.lists == 1

    def test_a_list_of_few_large_objects_on_a_slow_connection_is_not_cut(self, bench):
        bench.start()
        bench.opened()
        for _ in range(100):
            batch = items("a")
            batch.deltas = [row("R", "a", obj=b"x" * WINDOW_BYTES_MIN)]
            bench.batch(batch)
            assert bench.later(9, silent_s=9) == []

    def test_an_end_without_the_marker_after_a_minute_falls_back_to_pages_for_this_once(self, bench):
        bench.start()
        bench.opened()
        bench.batch(items("a"))
        assert isinstance(bench.closed(after_s=300)[-1], List)
        assert bench.traits.has_streaming_lists

    def test_silence_of_our_own_making_is_not_counted(self, bench):
        bench.start()
        bench.batch(items("a"))
        assert bench.later(3600, has_room=False) == []

    def test_a_server_that_goes_on_and_on_without_a_marker_is_not_believed(self, bench):
        bench.start()
        batch = items("a")
        batch.changes_before_marker = CHANGES_WITHOUT_MARKER_MAX
        bench.batch(batch)
        batch.changes_before_marker += 1
        assert isinstance(bench.batch(batch)[-1], List)
        assert not bench.traits.has_streaming_lists

    @pytest.mark.parametrize("error", [EXPIRED, TOO_LARGE])
    @pytest.mark.parametrize("in_stream", [True, False])
    def test_an_unavailable_floor_is_answered_at_once_with_a_list_at_any_version(
        self, bench, error, in_stream
    ):
        bench.start(floor="99")
        actions = bench.batch(failed_event(error)) if in_stream else bench.failed(error)
        assert versions_of(actions) == ("Watch", None)
        assert bench.machine.state is State.LISTING

    def test_an_unavailable_floor_twice_backs_off(self, bench):
        bench.start(floor="99")
        bench.failed(TOO_LARGE)
        assert bench.failed(TOO_LARGE) == []
        assert bench.machine.state is State.BACKOFF

    def test_the_floor_counts_again_after_a_list_that_worked(self, bench):
        bench.start(floor="99")
        bench.failed(TOO_LARGE)
        bench.batch(marker("20"))
        bench.later(60)
        assert versions_of(bench.batch(failed_event(EXPIRED))) == ("Watch", "20")

    def test_a_server_that_does_not_know_streaming_lists_is_asked_for_pages_at_once(self, bench):
        bench.start()
        assert isinstance(bench.failed(INVALID)[0], List)
        assert not bench.traits.has_streaming_lists

    def test_any_other_answer_falls_back_to_pages_for_this_once(self, bench):
        bench.start()
        bench.failed(StatusError(500, "InternalError", "oops"))
        [request] = bench.later(1)
        assert isinstance(request, List)
        bench.page(page())
        bench.later(60)
        assert isinstance(bench.batch(failed_event(EXPIRED))[-1], Watch)

    @pytest.mark.parametrize("error", [REFUSED, BUSY, FORBIDDEN], ids=["refused", "429", "403"])
    def test_a_server_that_cannot_or_will_not_answer_is_asked_for_the_same_again_later(self, bench, error):
        bench.start(floor="5")
        assert bench.failed(error) == []
        assert bench.machine.error is error
        assert versions_of(bench.later(10)) == ("Watch", "5")

    def test_an_end_without_the_marker_begins_anew(self, bench):
        bench.start(generation=1)
        bench.batch(items("a"))
        assert versions_of(bench.closed()) == ("Watch", None)
        assert bench.batch(items("a"))[0] == Begin(2)

    def test_a_second_end_without_the_marker_falls_back_to_pages_for_this_once(self, bench):
        bench.start()
        bench.closed()
        assert isinstance(bench.closed()[0], List)
        assert bench.traits.has_streaming_lists


class TestPages:
    def test_version_zero_is_for_streams_of_which_nothing_is_known(self, paging):
        [request] = paging.start()
        assert request.params == {"limit": "500", "resourceVersion": "0"}

    def test_limit_and_a_version_are_sent_with_not_older_than(self, paging):
        [request] = paging.start(floor="90")
        assert request.params == {
            "limit": "500",
            "resourceVersion": "90",
            "resourceVersionMatch": "NotOlderThan",
        }

    def test_later_pages_send_the_token_and_no_version(self, paging):
        paging.start(floor="90")
        *_, request = paging.page(page("a", token="t1"))
        assert request == List({"limit": "500", "continue": "t1"}, is_first=False)

    def test_parts_of_a_page_are_passed_on_as_they_come(self, paging):
        paging.start()
        assert paging.page(page("a", is_last=False, token="t1")) == [Begin(1), Deltas([row("R", "a")], "")]
        assert paging.page(page("b", is_last=False, token="t1")) == [Deltas([row("R", "b")], "")]

    def test_a_list_ends_with_the_version_of_its_first_page_and_the_watch_begins_there(self, paging):
        paging.start()
        paging.page(page("a", version="20", token="t1"))
        *_, end, request = paging.page(page("b", version="21"))
        assert end == End(1, 2, "20")
        assert request.params["resourceVersion"] == "20"

    def test_an_expired_token_begins_a_new_generation_from_the_start(self, paging):
        paging.start(floor="90")
        paging.page(page("a", token="t1"))
        assert versions_of(paging.failed(EXPIRED)) == ("List", "90")
        assert paging.page(page("a", token="t2"))[0] == Begin(2)

    def test_tokens_that_keep_expiring_are_not_a_tight_loop(self, paging):
        paging.start()
        paging.page(page("a", token="t1"))
        paging.failed(EXPIRED)
        paging.page(page("a", token="t2"))
        assert paging.failed(EXPIRED) == []
        assert paging.machine.state is State.BACKOFF

    @pytest.mark.parametrize("error", [EXPIRED, TOO_LARGE])
    def test_an_unavailable_floor_is_answered_at_once_with_a_quorum_list(self, paging, error):
        paging.start(floor="90")
        [request] = paging.failed(error)
        assert request.params == {"limit": "500"}

    def test_after_a_list_below_the_floor_its_version_is_the_floor(self, paging):
        paging.start(floor="90")
        paging.failed(TOO_LARGE)
        paging.page(page("a", version="20"))
        assert paging.machine.floor == "20"

    def test_a_page_too_large_at_zero_is_asked_for_where_servers_heed_the_limit(self, paging):
        paging.start()
        paging.failed(CapacityError("the answer is larger than 512 MiB"))
        [request] = paging.later(1)
        assert request.params == {"limit": "500"}

    def test_a_page_too_large_elsewhere_is_made_smaller(self, paging):
        paging.start(floor="90")
        paging.failed(CapacityError("the answer is larger than 512 MiB"))
        [request] = paging.later(1)
        assert request.params["limit"] == "125"

    def test_an_unknown_resource_is_an_error_that_is_tried_again(self, paging):
        paging.start()
        error = ConfigError("the server has no resource 'widgets'")
        assert paging.failed(error) == []
        assert (paging.machine.state, paging.machine.error) == (State.BACKOFF, error)
        assert versions_of(paging.later(1)) == ("List", "0")

    def test_a_list_that_fails_before_its_first_item_costs_the_shards_nothing(self, paging):
        paging.start()
        assert not any(isinstance(a, Begin | Mark) for a in paging.failed(REFUSED))


def test_an_answer_that_is_no_list_is_an_error(paging):
    paging.start()
    paging.failed(TransportError("the answer is a Table", reason="garbage"))
    assert paging.machine.state is State.BACKOFF


def test_a_new_start_ends_the_open_list_and_takes_a_higher_generation(bench):
    bench.start(generation=3)
    bench.batch(items("a"))
    assert isinstance(bench.start(generation=3)[0], Cancel)
    assert bench.batch(items("a"))[0] == Begin(4)


def test_a_lost_session_ends_the_open_list(bench):
    bench.start()
    bench.batch(items("a"))
    assert bench.machine.stop() == [Cancel()]
    assert bench.machine.state is State.WAITING
    assert bench.later(3600, has_room=False) == []
