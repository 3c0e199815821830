"""The two ends of a shard of the shared queue, one rule at a time."""

from collections import deque
from typing import Any

import msgspec
import pytest

from deltawire.common.errors import ProtocolError
from deltawire.common.wire.messages.proofs import Proof
from deltawire.common.wire.messages.shard import Ack, ListBegin, Pop, ShardState, StreamAt
from deltawire.common.wire.messages.stream import Begin, Delta, Deltas, End
from deltawire.fifo.in_order import InMemoryEngine
from deltawire.fifo.relay.broker import RelayBroker
from deltawire.fifo.relay.inbox import Inbox
from deltawire.fifo.relay.informer import SharedInformer
from deltawire.fifo.relay.message import Published, Reached, decode, encode
from deltawire.fifo.relay.outbox import Outbox
from deltawire.fifo.relay.proofs import Proven
from deltawire.fifo.relay.wants import Demand, Met, Publish

PODS = "dev/pods"


def deltas(*versions: int, stream: str = "*", size: int = 2) -> Deltas:
    rows = [Delta("U", "a", f"k{v}", f"u{v}", str(v), b"x" * size) for v in versions]
    return Deltas(PODS, stream, str(versions[-1]), 1, rows)


def led(tail: Published | None = None, sequence: int = 0, reign: str = "r1") -> Outbox:
    outbox = Outbox()
    outbox.lead(reign, tail, sequence)
    return outbox


def taken(outbox: Outbox, sequence: int) -> Published:
    found = outbox.take()
    assert found is not None
    message = decode(found[0])
    outbox.confirmed(sequence)
    return message


def store(boot: str = "", number: int = 0, resume: str = "") -> ShardState:
    return ShardState(PODS, 0, "c1", boot, number, {"*": StreamAt(resume, resume, 1 if resume else 0)})


def first_reign() -> tuple[Outbox, Published, Published]:
    """An outbox whose reign has begun, with a whole list of two."""
    outbox = led()
    beginning = taken(outbox, 1)
    for entry in (Begin(PODS, "*", 1), deltas(1, 2), End(PODS, "*", 1, 2, "2")):
        outbox.put(entry)
    return outbox, beginning, taken(outbox, 2)


def test_a_reign_begins_with_a_message_and_one_is_under_way_at_a_time() -> None:
    outbox = led()
    outbox.put(Begin(PODS, "*", 1))
    payload, follows = outbox.take() or (b"", -1)
    assert follows == 0
    assert not outbox.is_fenced
    assert outbox.take() is None
    outbox.put(deltas(1))
    freed = outbox.confirmed(7)
    assert outbox.is_fenced
    assert not freed.credit
    assert decode(payload).last == 1
    assert (outbox.take() or (b"", -1))[1] == 7


def test_credit_comes_back_when_deltas_are_in_the_queue() -> None:
    outbox, _, _ = first_reign()
    outbox.put(deltas(3, 4, size=10))
    outbox.take()
    assert outbox.depth == 2
    assert outbox.confirmed(3).credit == {"*": (2, 20)}
    assert outbox.depth == 0


def test_a_message_says_how_far_the_shard_is_behind_it() -> None:
    outbox, _, listed = first_reign()
    assert listed.streams["*"] == Reached("2", "2", 1, "")
    outbox.put(deltas(5))
    outbox.mark("*", "9")
    later = taken(outbox, 3)
    assert later.streams["*"].resume == "9"
    assert later.marks == [("*", "9")]
    outbox.mark("*", "11")
    outbox.put(Begin(PODS, "*", 2))
    begun = taken(outbox, 4)
    assert begun.streams["*"] == Reached("", "9", 2, "")
    assert begun.marks == [], "a mark from before a list says nothing after its begin"


def test_a_large_object_is_a_message_of_its_own() -> None:
    outbox, _, _ = first_reign()
    for version in (3, 4, 5):
        outbox.put(deltas(version, size=400_000))
    assert [taken(outbox, n).last for n in (3, 4, 5)] == [5, 6, 7]


def test_the_next_reign_follows_the_last_entry_of_the_former_one() -> None:
    _, _, listed = first_reign()
    message = taken(led(listed, 2, "r2"), 3)
    assert message.after == (listed.boot, listed.last)
    assert message.first == 1
    assert message.streams == listed.streams


def test_a_store_goes_on_where_it_is_through_several_reigns() -> None:
    _, beginning, listed = first_reign()
    second = led(listed, 2, "r2")
    second.put(deltas(3))
    later = taken(second, 3)
    inbox = Inbox(store(listed.boot, 3, "2"))
    inbox.opened(later)
    for sequence, message in enumerate((beginning, listed), 1):
        assert not inbox.deliver(message, sequence, 10).is_any
    pop: Any = inbox.queue.pop(9, 10**6)
    assert (pop.number, pop.version) == (4, "2"), "what the store has is skipped"
    assert not inbox.deliver(later, 3, 10).is_any
    assert inbox.queue.pop(9, 10**6) is None, "the next boot waits for the acknowledgement"
    inbox.queue.ack(4)
    assert inbox.acked(4) == (2, 2, 20)
    assert not inbox.go_on().is_any
    pop = inbox.queue.pop(9, 10**6)
    assert (pop.boot, pop.first, pop.keys[0].rows[0].version) == (later.boot, 1, "3")


def test_a_store_that_lacks_something_waits_until_that_is_asked_for() -> None:
    outbox, _, _ = first_reign()
    outbox.put(deltas(3))
    later = taken(outbox, 3)
    inbox = Inbox(store())
    lacks = inbox.deliver(later, 3, 10)
    assert lacks.is_any, "the list before it is gone"
    assert inbox.queue.pop(9, 10**6) is None
    assert not inbox.asked().is_any
    assert isinstance(inbox.queue.pop(9, 10**6), Pop)


def test_a_store_that_has_what_the_servers_lost_asks_for_a_list() -> None:
    outbox, _, listed = first_reign()
    outbox.put(deltas(3))
    lost = taken(outbox, 3)
    second = led(listed, 2, "r2")
    second.put(deltas(4))
    inbox = Inbox(store(lost.boot, lost.last, "3"))
    message = taken(second, 3)
    inbox.opened(message)
    assert inbox.deliver(listed, 2, 10).is_any is False
    assert inbox.deliver(message, 3, 10).is_any


def test_a_new_store_at_the_queues_beginning_lacks_nothing() -> None:
    _, beginning, listed = first_reign()
    inbox = Inbox(store())
    inbox.opened(listed)
    assert not inbox.deliver(beginning, 1, 10).is_any
    assert not inbox.deliver(listed, 2, 10).is_any
    assert isinstance(inbox.queue.pop(9, 10**6), ListBegin)


def test_a_store_that_is_older_than_the_queues_beginning_asks_for_a_list() -> None:
    outbox = led()
    outbox.know("*", Reached("50", "50", 1, "50"))
    beginning = taken(outbox, 1)
    assert not Inbox(store("memory", 9, "60")).deliver(beginning, 1, 10).is_any
    assert Inbox(store("memory", 9, "40")).deliver(beginning, 1, 10).is_any
    assert Inbox(store()).deliver(beginning, 1, 10).is_any


def test_a_store_that_was_filled_from_its_archive_asks_for_a_list() -> None:
    """It goes on where it was, but without the resume version, since its objects have no content."""
    _, beginning, listed = first_reign()
    inbox = Inbox(store(listed.boot, listed.last))
    inbox.opened(listed)
    assert not inbox.deliver(beginning, 1, 10).is_any
    assert inbox.deliver(listed, 2, 10).is_any


def test_a_store_in_the_middle_of_a_list_waits_for_its_end() -> None:
    outbox = led()
    taken(outbox, 1)
    outbox.put(Begin(PODS, "*", 1))
    begun = taken(outbox, 2)
    outbox.put(End(PODS, "*", 1, 0, "2"))
    inbox = Inbox(ShardState(PODS, 0, "c1", begun.boot, 1, {"*": StreamAt("", "", 1)}))
    assert not inbox.deliver(begun, 2, 10).is_any
    assert not inbox.deliver(taken(outbox, 3), 3, 10).is_any


def test_a_store_filled_in_the_middle_of_a_list_does_not_take_its_end_for_one_that_will_do() -> None:
    """What the list had named is not known any more, so that its generation is one that no list has had."""
    outbox = led()
    taken(outbox, 1)
    outbox.put(Begin(PODS, "*", 1))
    begun = taken(outbox, 2)
    outbox.put(End(PODS, "*", 1, 0, "2"))
    inbox = Inbox(ShardState(PODS, 0, "c1", begun.boot, 1, {"*": StreamAt("", "", 2)}))
    inbox.deliver(begun, 2, 10)
    assert inbox.deliver(taken(outbox, 3), 3, 10).is_any


def test_a_mark_is_not_lost_where_another_reign_begins() -> None:
    outbox, beginning, listed = first_reign()
    inbox = Inbox(store(listed.boot, 4, "2"))
    inbox.opened(listed)
    outbox.mark("*", "9")
    marked = taken(outbox, 3)
    following = taken(led(marked, 3, "r2"), 4)
    for sequence, message in enumerate((beginning, listed, marked, following), start=1):
        inbox.deliver(message, sequence, 10)
    pop = inbox.queue.pop_marks()
    assert pop is not None
    assert inbox.boot == following.boot
    assert pop.marks == [("*", "9")]


def test_a_hole_inside_a_boot_needs_a_new_boot() -> None:
    outbox, _, listed = first_reign()
    outbox.put(deltas(3))
    taken(outbox, 3)
    outbox.put(deltas(4))
    inbox = Inbox(store(listed.boot, listed.last, "2"))
    assert inbox.deliver(taken(outbox, 4), 4, 10).renew


def test_what_is_no_message_of_ours_is_refused() -> None:
    _, _, listed = first_reign()
    assert decode(encode(listed)) == listed
    listed.format = 2
    for data in (b"", b"\xc1", b"\x93\x01\x02\x03", encode(listed)):
        with pytest.raises(ProtocolError, match="a message in the queue"):
            decode(data)


def listing() -> tuple[SharedInformer, Published]:
    """An informer of two shards whose streams have listed once, and shard 0's message with that."""
    informer = SharedInformer(PODS, ["*"], 2, InMemoryEngine(), boot="r1", latest_only=False)
    informer.lead("r1", {}, {})
    stream = informer.streams["*"]
    stream.start("", "", 0)
    published(informer)
    assert informer.begin(Begin(PODS, "*", 1))
    assert informer.end(End(PODS, "*", 1, 0, "9"))
    return informer, published(informer)[0]


def published(informer: SharedInformer) -> list[Published]:
    """All that waits, with sequences of their own; the last message of each shard."""
    last: dict[int, Published] = {}
    sequence = 0
    while wants := [want for want in informer.wants if isinstance(want, Publish)]:
        informer.wants = [want for want in informer.wants if not isinstance(want, Publish)]
        for want in wants:
            sequence += 1
            last[want.shard] = decode(want.payload)
            informer.published(want.shard, "r1", sequence)
    return [last[number] for number in sorted(last)]


def demands_of(message: Published, shard: int) -> Demand:
    lacks = Inbox(store("memory", 9, "60")).deliver(message, 1, 10)
    assert lacks.is_any
    return Demand(PODS, shard, 1, "", 1, lacks.behind)


def test_a_list_that_began_behind_what_a_shard_saw_is_the_one_it_asks_for() -> None:
    informer, message = listing()
    stream = informer.streams["*"]
    assert informer.demand(demands_of(message, 0), 5)
    assert stream.state == "waiting"
    stream.start("", "", 0)
    assert informer.begin(Begin(PODS, "*", 2))
    assert informer.demand(demands_of(message, 1), 6)
    assert stream.state == "started"
    assert stream.listing == 2
    published(informer)
    assert [want for want in informer.wants if isinstance(want, Met)] == [Met(PODS, 0, 5), Met(PODS, 1, 6)]


def test_a_list_that_began_before_what_a_shard_saw_is_not() -> None:
    informer, message = listing()
    stream = informer.streams["*"]
    again = demands_of(message, 0)
    assert again.behind == 1
    for demand in (
        again,
        msgspec.structs.replace(again, behind=-1),
        msgspec.structs.replace(again, generation=7),
    ):
        assert informer.demand(demand, 5 + stream.asked)
        assert stream.state == "waiting"
        _, _, asked, _, _ = stream.start("", "", 0)
        assert informer.begin(Begin(PODS, "*", asked))
        assert informer.end(End(PODS, "*", asked, 0, "9"))
        again = demands_of(published(informer)[0], 0)


def test_a_message_that_a_reign_began_behind_is_no_other_leaders_however_late_it_is_read() -> None:
    broker = RelayBroker({PODS: ["*"]}, 2, boot="b")
    former = Published(1, "l:0:r0", ("", 0), 1, 1, "c1", "", {}, [], [])
    broker.leads(PODS, "r1", {0: (former, 7), 1: (former, 8)}, {})
    for shard in range(2):
        broker.published(PODS, shard, "r1", 9 + shard)
    # It was asked for before the reign's first message was published, and is answered after that.
    broker.saw_tails(PODS, {0: (former, 7), 1: (former, 8)})
    assert broker.shared(PODS).leads


def test_a_leader_that_cannot_renew_its_lease_steps_down_when_another_ones_reign_is_in_the_queue() -> None:
    broker = RelayBroker({PODS: ["*"]}, 2, boot="b")
    broker.leads(PODS, "r1", {}, {})
    mine = {want.shard: decode(want.payload) for want in broker.wants() if isinstance(want, Publish)}
    former = Published(1, "l:0:r0", ("", 0), 1, 1, "c1", "", {}, [], [])
    broker.published(PODS, 0, "r1", 1)
    # Shard 1 is not published to yet: what is there is of before.
    broker.saw_tails(PODS, {0: (mine[0], 1), 1: (former, 7)})
    assert broker.shared(PODS).leads
    theirs = led(mine[0], 1, "r2").take()
    assert theirs is not None
    broker.saw_tails(PODS, {0: (decode(theirs[0]), 2)})
    assert not broker.shared(PODS).leads


class Consumer:
    """A broker with one shard of an informer that another one leads. ``proven``: by stream what its worker knows."""

    def __init__(self, streams: list[str]) -> None:
        self.streams = streams
        self.informer = SharedInformer(PODS, streams, 1, InMemoryEngine(), boot="b", latest_only=False)
        self.informer.report(ShardState(PODS, 0, "c1", "", 0, {}), "c1")
        self.inbox, self.shard = self.informer.inboxes[0], self.informer.shards[0]
        self.informer.opened(0, self.inbox.token, None)
        self.proven: dict[str, int] = {}
        self._sequence = 0

    def hears(self, behind: tuple[str, int], as_of_us: int) -> None:
        """A proof of each stream, from the leader."""
        for name in self.streams:
            self.informer.proven(Proven(name, Proof(as_of_us, as_of_us, 1), [behind]))

    def gets(self, message: Published) -> None:
        self._sequence += 1
        assert self.informer.delivered(0, self.inbox.token, message, self._sequence, 10)

    def passes_on(self) -> None:
        """All of the queue, which is stored, and the proofs with nothing in front of them."""
        while self.shard.queue.pop(1000, 10**6):
            pass
        self.passes_proofs_on()
        self.informer.ack(Ack(PODS, 0, self.inbox.boot, self.inbox.number))

    def passes_proofs_on(self) -> None:
        taken = self.shard.proofs.take(self.shard.queue)
        self.proven |= {name: proof.as_of_us for name, proof in taken.items()}


@pytest.mark.parametrize("lag", [1, 3, 20])
@pytest.mark.parametrize("streams", [1, 3, 30])
def test_each_stream_is_proven_however_many_there_are_and_however_many_beats_a_shard_lags(
    streams: int, lag: int
) -> None:
    consumer = Consumer([f"n{number}" for number in range(streams)])
    outbox = led()
    under_way = deque([taken(outbox, 1)])
    for beat in range(1, 5 * lag + 10):
        outbox.put(deltas(beat, stream=f"n{beat % streams}"))
        under_way.append(taken(outbox, beat + 1))
        consumer.hears((outbox.boot, outbox.number), beat)
        if len(under_way) > lag:
            consumer.gets(under_way.popleft())
            consumer.passes_on()
        if beat > 3 * lag:
            assert consumer.proven.keys() == set(consumer.streams)
            assert min(consumer.proven.values()) >= beat - 2 * lag - 2


def test_each_stream_is_proven_though_another_reign_began_while_a_shard_lagged() -> None:
    consumer = Consumer(["n0", "n1"])
    first, beginning, listed = first_reign()
    consumer.gets(beginning)
    consumer.hears((first.boot, 1000), 1)
    second = led(listed, 2, "r2")
    under_way = deque([listed, taken(second, 3)])
    for beat in range(2, 20):
        second.put(deltas(beat + 10, stream="n0"))
        under_way.append(taken(second, beat + 2))
        consumer.hears((second.boot, second.number), beat)
        consumer.gets(under_way.popleft())
        consumer.passes_on()
    assert consumer.proven.keys() == {"n0", "n1"}
    assert min(consumer.proven.values()) >= 12


def test_a_proof_that_waits_where_a_reign_ends_holds_up_none_of_the_next_one() -> None:
    consumer = Consumer(["n0"])
    first, *messages = first_reign()
    first.put(deltas(*range(100, 200)))
    messages.append(taken(first, 3))
    for message in messages:
        consumer.gets(message)
    consumer.passes_on()
    consumer.hears((first.boot, first.number), 1)
    second = led(messages[-1], 3, "r2")
    consumer.gets(taken(second, 4))
    for beat in range(2, 5):
        for number in (1, 2):
            second.put(deltas(10 * beat + number, stream="n0"))
            consumer.gets(taken(second, 3 * beat + number))
        consumer.hears((second.boot, second.number), beat)
        consumer.shard.queue.pop(2, 10**6)
        second.put(deltas(10 * beat + 3, stream="n0"))
        consumer.gets(taken(second, 3 * beat + 3))
        assert consumer.shard.queue.depth, "the queue is never empty where proofs are passed on"
        consumer.passes_proofs_on()
    assert consumer.proven["n0"] >= 3
