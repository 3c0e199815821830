"""What a stream may claim: only up to where it is known to be read, only what was sent, only of what it has seen."""

from deltawire.common.wire.messages.proofs import Proof, slowest
from deltawire.reflector.proof import REOPEN_S, SETTLE_S, STOOD_STILL_S, Reading, Stillness, StreamProver

EPOCH_US = 1_700_000_000_000_000
BOUND_US = 150_000_000


def us(now_s: float) -> int:
    return EPOCH_US + int(now_s * 1_000_000)


class Stream:
    """A prover and its clock; the reader waits unless a test says otherwise."""

    def __init__(self, stillness: Stillness | None = None) -> None:
        self.prover = StreamProver(stillness)
        self.now_s = 100.0

    def open(self) -> None:
        self.prover.asked(self.now_s, is_list=False)
        self.prover.opened(self.now_s, us(self.now_s))

    def turn(
        self, seconds: float = 0.1, *, waiting: bool = True, drained_s: float = 0.0, heard_s: float = 0.0
    ) -> None:
        self.now_s += seconds
        drained = us(drained_s) if drained_s else 0
        reading = Reading(drained, waiting, us(heard_s) if heard_s else 0)
        self.prover.turn(self.now_s, us(self.now_s), reading)

    def settle(self) -> None:
        for _ in range(4):
            self.turn()

    def proof(self, version: str = "10", held_us: int | None = None) -> Proof | None:
        return self.prover.proof(version, None, held_us)


def watching() -> Stream:
    stream = Stream()
    stream.open()
    stream.settle()
    return stream


def test_a_stream_that_waits_for_bytes_with_nothing_left_is_complete_as_of_now() -> None:
    stream = watching()
    assert stream.prover.is_watching(stream.now_s)
    proof = stream.proof()
    assert proof == Proof(us(stream.now_s), us(100.0), BOUND_US)


def test_nothing_is_claimed_before_a_watch_was_accepted_and_had_the_time_to_bring_what_is_there() -> None:
    stream = Stream()
    stream.prover.asked(stream.now_s, is_list=False)
    stream.settle()
    assert stream.proof() is None
    assert not stream.prover.is_watching(stream.now_s)
    stream.prover.opened(stream.now_s, us(stream.now_s))
    stream.turn(SETTLE_S / 2)
    assert stream.proof() is None
    stream.turn(SETTLE_S)
    assert stream.proof() is not None


def test_what_was_read_and_is_not_sent_holds_the_claim_back() -> None:
    stream = watching()
    proof = stream.proof(held_us=us(100.2))
    assert proof is not None
    assert proof.as_of_us == us(100.2) - 1


def test_a_reader_that_does_not_wait_claims_only_what_it_had_drained() -> None:
    stream = watching()
    before_s = stream.now_s
    for _ in range(20):
        stream.turn(waiting=False, drained_s=before_s + 0.05)
    proof = stream.proof()
    assert proof is not None
    assert proof.as_of_us == us(before_s + 0.05)


def test_after_the_process_stood_still_nothing_new_is_claimed_until_the_reader_has_looked() -> None:
    stream = watching()
    before_us = us(stream.now_s)
    # The reader's thread was stopped too: it seems to wait, and the socket holds a minute of changes.
    stream.turn(60.0 + STOOD_STILL_S)
    proof = stream.proof()
    assert proof is not None
    assert proof.as_of_us == before_us
    stream.turn(SETTLE_S)
    proof = stream.proof()
    assert proof is not None
    assert proof.as_of_us == us(stream.now_s)


def test_a_stream_that_is_looked_at_rarely_is_no_sleeper_while_the_main_loop_turns() -> None:
    stillness = Stillness()
    stream = Stream(stillness)
    stream.open()
    for _ in range(40):
        stream.now_s += 0.25
        stillness.turn(stream.now_s, us(stream.now_s))
    stream.turn()
    proof = stream.proof()
    assert proof is not None
    assert proof.as_of_us == us(stream.now_s)


def test_a_main_loop_that_stood_still_holds_back_the_claims_of_all_its_streams() -> None:
    stillness = Stillness()
    streams = [Stream(stillness), Stream(stillness)]
    for stream in streams:
        stream.open()
        stream.settle()
    before_us = us(stream.now_s)
    woke_s = stream.now_s + 60.0
    # One is looked at when the loop has turned again already: the other one's look, or the loop, has seen the gap.
    stillness.turn(woke_s, us(woke_s))
    for stream in streams:
        stream.now_s = woke_s
        stream.turn(SETTLE_S / 2)
        proof = stream.proof()
        assert proof is not None
        assert proof.as_of_us == before_us


def test_a_stream_that_resumes_below_what_it_has_seen_claims_nothing_until_it_is_there_again() -> None:
    stream = watching()
    stream.prover.read("12")
    assert stream.proof("12") is not None
    assert stream.proof("10") is None
    stream.prover.listed("9")
    assert stream.proof("9") is not None, "after a list its version counts"


def test_a_watch_that_ends_and_is_opened_again_goes_on_being_watched_for_a_moment() -> None:
    stream = watching()
    stream.prover.ended(stream.now_s)
    stream.prover.asked(stream.now_s, is_list=False)
    as_of_us = us(stream.now_s)
    stream.turn(REOPEN_S / 2)
    assert stream.prover.is_watching(stream.now_s)
    proof = stream.proof()
    assert proof is not None
    assert proof.as_of_us == as_of_us, "nothing was read since"
    stream.turn(REOPEN_S)
    assert not stream.prover.is_watching(stream.now_s)


def test_a_watch_that_failed_is_watched_no_more() -> None:
    stream = watching()
    stream.prover.lost()
    assert not stream.prover.is_watching(stream.now_s)


def test_the_age_of_a_proof_is_that_of_the_last_bytes_and_its_bound_of_the_bookmarks_seen() -> None:
    stream = watching()
    stream.turn(heard_s=100.3)
    proof = stream.prover.proof("10", 60.0, None)
    assert proof is not None
    assert (proof.proof_us, proof.bound_us) == (us(100.3), BOUND_US)
    short = stream.prover.proof("10", 4.0, None)
    assert short is not None
    assert short.bound_us == 10_000_000


def test_the_slowest_of_proofs_is_as_old_as_the_oldest_and_as_fresh_as_the_stalest() -> None:
    a, b = Proof(us(5), us(4), 10), Proof(us(3), us(9), 1000)
    merged = slowest([a, b])
    assert merged == Proof(us(3), us(9), 1000) or merged == Proof(us(3), us(4), 10)
    assert merged.as_of_us == us(3)
    assert merged.stale_us <= min(a.stale_us, b.stale_us)
    assert slowest([]) is None
