"""The waker: no ring is lost, and none rings for ever."""

import select
import threading

import pytest

from deltawire.reflector.waker import KeyedWaker


@pytest.fixture
def waker():
    made = KeyedWaker()
    yield made
    made.close()


def is_readable(waker, seconds=0.0):
    return bool(select.select([waker.fileno()], [], [], seconds)[0])


def test_a_wake_makes_the_descriptor_readable_until_it_is_taken(waker):
    assert not is_readable(waker)
    waker.wake("a")
    assert is_readable(waker)
    assert waker.taken() == {"a"}
    assert not is_readable(waker)


def test_many_wakes_are_one_ring(waker):
    for key in ("a", "b", "a"):
        waker.wake(key)
    assert waker.taken() == {"a", "b"}
    assert not is_readable(waker)


def test_no_key_of_many_threads_is_lost(waker):
    def ring(start):
        for n in range(start, start + 2000):
            waker.wake(n)

    threads = [threading.Thread(target=ring, args=(start,)) for start in (0, 10_000, 20_000)]
    for thread in threads:
        thread.start()
    seen = set()
    while len(seen) < 6000:
        assert is_readable(waker, 5), "a ring was lost"
        seen |= waker.taken()
    for thread in threads:
        thread.join()
    assert len(seen) == 6000


def test_a_wake_after_the_end_is_nothing(waker):
    waker.close()
    waker.wake("a")
