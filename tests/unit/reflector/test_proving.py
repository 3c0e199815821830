"""Whose proofs travel when: each beat those of all that watch, soon those of who begins to watch."""

from deltawire.common.wire.messages.proofs import Proof
from deltawire.reflector.proving import OWED_EVERY_S, Proving

EVERY_S = 2.0
BEGAN_US = 1_000_000


class Played:
    def __init__(self):
        self.is_watching = False
        self.as_of_us = 0
        self.asked = 0

    def proof(self):
        self.asked += 1
        return Proof(self.as_of_us, 1, 1) if self.as_of_us else None


class Stage:
    def __init__(self, count=2):
        self.streams = {("dev/pods", str(n)): Played() for n in range(count)}
        self.changes = 0
        self.proving = Proving(self.streams, EVERY_S, self._changed)

    def _changed(self):
        self.changes += 1

    def watch(self, number, is_watching=True):
        self.stream(number).is_watching = is_watching
        self.proving.note(("dev/pods", str(number)), BEGAN_US)

    def stream(self, number):
        return self.streams["dev/pods", str(number)]

    def proved(self, now_s):
        return [row.stream for row in self.proving.rows(now_s)]


def test_each_beat_all_that_watch_prove_it_and_between_beats_none_is_looked_at():
    stage = Stage(500)
    for number in range(500):
        stage.watch(number)
        stage.stream(number).as_of_us = BEGAN_US + 1
    assert len(stage.proved(100.0)) == 500
    assert stage.proving.due_s == 100.0 + EVERY_S
    asked = stage.stream(7).asked
    assert stage.proved(101.0) == []
    assert stage.stream(7).asked == asked
    assert len(stage.proved(102.0)) == 500


def test_who_begins_to_watch_proves_it_as_soon_as_there_is_something_newer_to_prove():
    stage = Stage()
    assert stage.proved(100.0) == []
    stage.watch(0)
    assert stage.changes == 1
    stage.stream(0).as_of_us = BEGAN_US - 1
    assert stage.proved(100.1) == []
    assert stage.proving.due_s == 100.1 + OWED_EVERY_S
    stage.stream(0).as_of_us = BEGAN_US + 1
    assert stage.proved(100.2) == ["0"]
    assert stage.proving.due_s == 100.0 + EVERY_S


def test_who_watches_no_more_is_told_of_once_and_proves_nothing():
    stage = Stage()
    for number in range(2):
        stage.watch(number)
        stage.stream(number).as_of_us = BEGAN_US + 1
    stage.watch(1, is_watching=False)
    stage.watch(1, is_watching=False)
    assert stage.changes == 3
    assert stage.proved(100.0) == ["0"]
