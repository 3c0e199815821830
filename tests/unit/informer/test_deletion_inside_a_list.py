"""A streaming list brings deletions between its items."""

from collections.abc import Sequence

from deltawire.common.store.layout import Row
from deltawire.common.store.meta import StreamState
from deltawire.informer.apply import Apply
from deltawire.informer.changes import Change, Counters
from deltawire.informer.progress import Progress
from tests.support.messages import work


class Empty:
    """A store that holds nothing."""

    def held(self, key: str) -> Row | None:
        return None

    def unmarked(self, prefix: str, generation: int) -> Sequence[str]:
        return []

    def set_aside(self, prefix: str) -> Sequence[Row]:
        return []

    def lost(self, key: str) -> Sequence[Row]:
        return []

    def lost_under(self, prefix: str) -> Sequence[Row]:
        return []


def test_a_deletion_inside_an_open_list_leaves_no_version_to_resume_at() -> None:
    """Resumed at the deletion's version, all that the list had not yet named would be lost."""
    progress, counters = Progress({"*": StreamState(resume="10")}), Counters()
    changes: list[Change] = []
    stored: list[Row] = []
    applying = Apply(progress, counters, Empty(), lambda row, old: stored.append(row), changes.append)
    applying.begin_list(work("begin", ["b", 1, "*", 2]))
    deletion = ["ns", "gone", [[2, "D", "*", "u", "30", 1, b""]]]
    applying.pop(work("pop", ["b", 2, 2, [deletion], []]))
    assert changes == []
    assert stored == []
    assert progress.streams["*"].resume == ""
