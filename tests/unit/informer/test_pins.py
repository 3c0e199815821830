"""Readers that hold an old state are found, those that only read often are not."""

from deltawire.informer.store.pins import PINNED_AFTER_S, PinWatch

HEAD = "    pid     thread     txnid\n"


def test_a_reader_that_holds_an_overtaken_state_is_named_after_ten_seconds() -> None:
    watch = PinWatch()
    table = HEAD + "      12 7f54 40\n      13 7f55 -\n"
    assert watch.look(table, 50, 0.0) == []
    assert watch.look(table, 51, PINNED_AFTER_S - 1) == []
    assert watch.look(table, 60, PINNED_AFTER_S) == [12]
    assert watch.look(HEAD, 60, PINNED_AFTER_S + 1) == []


def test_a_reader_of_a_quiet_store_or_of_ever_newer_states_pins_nothing() -> None:
    moving = PinWatch()
    for second in range(30):
        assert moving.look(HEAD + f"      13 7f55 {40 + second}\n", 41 + second, float(second)) == []
    quiet = PinWatch()
    for second in range(30):
        assert quiet.look(HEAD + "      13 7f55 40\n", 40, float(second)) == []


def test_no_readers_is_no_error() -> None:
    assert PinWatch().look("(no active readers)\n", 5, 1.0) == []
