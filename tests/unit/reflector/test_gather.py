"""What a watch brings in quick succession is passed on together; a lone event is not delayed."""

import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.errors import TransportError
from deltawire.common.limits import BATCH_BYTES_MAX
from deltawire.reflector.gather import GATHER_BYTES_MAX, GATHER_S, Gatherer

PIECE_BYTES = 64 * 1024


class TimedStream:
    """Pieces with the time at which they come, s; an exception is raised, b"" is the end."""

    def __init__(self, clock, pieces):
        self.clock = clock
        self.pieces = list(pieces)

    def is_ready(self):
        return bool(self.pieces) and self.pieces[0][0] <= self.clock.now_s()

    def read(self):
        at_s, piece = self.pieces.pop(0)
        if at_s > self.clock.now_s():
            self.clock.advance(at_s - self.clock.now_s())
        if isinstance(piece, Exception):
            raise piece
        return piece


def passed_on(pieces, count):
    """What a reader passes on, and when, s."""
    clock = FakeClock()
    gatherer = Gatherer(TimedStream(clock, pieces), clock)
    found = []
    for _ in range(count):
        chunk = gatherer.read()
        found.append((gatherer.with_more(chunk), pytest.approx(clock.now_s())))
    return found


def test_an_event_that_comes_alone_does_not_wait():
    assert passed_on([(0.0, b"a"), (1.0, b"b"), (1.0 + 2 * GATHER_S, b"c")], 3) == [
        (b"a", 0.0),
        (b"b", 1.0),
        (b"c", 1.0 + 2 * GATHER_S),
    ]


def test_what_comes_close_behind_another_one_waits_for_the_rest_of_that_time():
    pieces = [(i * GATHER_S / 4, b"%d" % i) for i in range(10)]
    assert passed_on(pieces, 4) == [
        (b"0", 0.0),
        (b"1234", GATHER_S),
        (b"5678", 2 * GATHER_S),
        (b"9", 3 * GATHER_S),
    ]


def test_nothing_is_waited_for_where_enough_is_there():
    count = GATHER_BYTES_MAX // PIECE_BYTES + 1
    pieces = [(0.0, b"x" * PIECE_BYTES)] * (2 * count + 1)
    assert [(len(chunk), at) for chunk, at in passed_on(pieces, 3)] == [
        (PIECE_BYTES, 0.0),
        (count * PIECE_BYTES, 0.0),
        (count * PIECE_BYTES, 0.0),
    ]


def test_what_is_read_together_fits_a_message():
    assert GATHER_BYTES_MAX + PIECE_BYTES <= BATCH_BYTES_MAX


@pytest.mark.parametrize("end", [TransportError("cut", reason="reset"), b""], ids=["cut", "ended"])
def test_what_came_before_the_end_is_passed_on_before_it(end):
    clock = FakeClock()
    gatherer = Gatherer(TimedStream(clock, [(0.0, b"a"), (0.0001, b"b"), (0.0002, end), (9.0, b"")]), clock)
    assert gatherer.with_more(gatherer.read()) == b"a"
    assert gatherer.with_more(gatherer.read()) == b"b"
    if end:
        with pytest.raises(TransportError, match="cut"):
            gatherer.read()
    else:
        assert gatherer.read() == b""
