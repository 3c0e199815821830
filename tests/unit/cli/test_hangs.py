"""Who is called hung, and who is not."""

import pytest

from deltawire.cli.supervisor.hangs import LOOK_GAP_S_MAX, START_S_MAX, Hangs

LIMIT_S = 3.0


class Scene:
    """A watcher that looks each 0.1 s at a process that says what the test has it say."""

    def __init__(self, limit_s: float | None = LIMIT_S) -> None:
        self.now_s = 100.0
        self.hangs = Hangs()
        self.hangs.started("worker-0", self.now_s, hang_after_s=limit_s)

    def says(self, *lines: str) -> "Scene":
        for line in lines:
            self.hangs.heard("worker-0", line, self.now_s)
        return self

    def looks_for(self, seconds: float) -> list[str]:
        found = []
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            found += [hang.describe() for hang in self.hangs.look(self.now_s)]
        return found

    def sleeps(self, seconds: float) -> "Scene":
        """The watcher itself stands still."""
        self.now_s += seconds
        return self


def test_a_loop_that_turns_is_never_hung() -> None:
    scene = Scene()
    for _ in range(100):
        assert scene.says("turn").looks_for(LIMIT_S - 0.2) == []


def test_a_loop_that_does_not_turn_is_named_once() -> None:
    scene = Scene().says("turn")
    assert scene.looks_for(LIMIT_S * 5) == ["its loop has not turned for 3 s"]


def test_a_long_turn_that_reports_progress_is_no_hang_and_one_that_stops_to_is() -> None:
    scene = Scene().says("turn")
    for _ in range(20):
        assert scene.says("progress sweep of dev/pods").looks_for(1.0) == []
    assert scene.looks_for(LIMIT_S + 1) == ["its loop has not turned for 3 s (sweep of dev/pods)"]


def test_a_call_of_user_code_in_the_main_loop_is_no_hang_however_long() -> None:
    scene = Scene().says("turn", "call reconcile of default/web")
    assert scene.looks_for(1000) == []
    assert scene.says("turn").looks_for(LIMIT_S - 0.2) == []
    assert len(scene.looks_for(1)) == 1


def test_starting_has_a_deadline_of_its_own() -> None:
    scene = Scene()
    assert scene.looks_for(START_S_MAX - 1) == []
    assert scene.looks_for(2) == [f"it did not get through its start for {START_S_MAX:.0f} s"]


def test_progress_of_a_start_prolongs_it() -> None:
    scene = Scene()
    for _ in range(5):
        assert scene.says("progress rebuild of an index").looks_for(START_S_MAX - 1) == []


def test_a_watcher_that_was_stopped_and_wakes_up_names_nobody() -> None:
    scene = Scene().says("turn")
    assert scene.looks_for(1) == []
    for _ in range(1):
        assert scene.sleeps(3600).looks_for(0.1) == []
    # No beat was read yet: of the pause one second counts, and the process' beats are read in time.
    assert scene.looks_for(LIMIT_S - 1 - LOOK_GAP_S_MAX - 0.3) == []
    assert scene.says("turn").looks_for(LIMIT_S - 0.2) == []


def test_a_process_that_hangs_is_named_also_after_pauses_of_the_watcher() -> None:
    scene = Scene().says("turn")
    scene.sleeps(3600)
    assert len(scene.looks_for(LIMIT_S)) == 1


@pytest.mark.parametrize("terms", ["terms 0 20", "terms", "terms often 20"])
def test_whoever_says_off_is_never_hung(terms: str) -> None:
    assert Scene().says(terms, "turn").looks_for(1000) == []


def test_the_processes_own_terms_count() -> None:
    scene = Scene(None)
    assert scene.looks_for(1000) == []
    assert len(scene.says("terms 3 20", "turn").looks_for(LIMIT_S + 0.1)) == 1


def test_one_that_ended_is_forgotten_and_its_successor_is_watched_anew() -> None:
    scene = Scene().says("turn")
    assert scene.looks_for(LIMIT_S - 0.5) == []
    scene.hangs.forget("worker-0")
    scene.says("turn")
    assert scene.looks_for(LIMIT_S) == []
    scene.hangs.started("worker-0", scene.now_s, hang_after_s=LIMIT_S)
    assert scene.says("turn").looks_for(LIMIT_S - 0.2) == []
    assert len(scene.looks_for(1)) == 1
