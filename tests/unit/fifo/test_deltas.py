"""Deltas are a value: a snapshot of one key's changes."""

from deltawire.fifo.deltas import Delta, Deltas, DeltaType


def test_deltas_know_their_oldest_and_newest() -> None:
    first, last = Delta(DeltaType.ADDED, "a1"), Delta(DeltaType.UPDATED, "a2")
    assert (Deltas([first, last]).oldest, Deltas([first, last]).newest) == (first, last)


def test_no_deltas_have_neither() -> None:
    empty: Deltas[str] = Deltas()
    assert (empty.oldest, empty.newest) == (None, None)
