"""A queue on NATS that is of another cluster than this host's API server: it is neither led nor consumed, and named."""

from typing import Any

import pytest

from deltawire.common.wire.messages import shard as workers
from deltawire.common.wire.messages import stream as reflectors
from deltawire.fifo.actions import Action, Reset, Send, Side
from deltawire.fifo.relay.broker import RelayBroker
from deltawire.fifo.relay.message import FORMAT, Published, Reached, encode
from deltawire.fifo.relay.wants import Consume, Publish, Resign

PODS = "dev/pods"
ROW = reflectors.Delta("A", "a", "k1", "u1", "5", b"{}")


def message(cluster_id: str, address: str = "", *, entries: list[Any] | None = None) -> Published:
    begun = [reflectors.Begin(PODS, "*", 1), reflectors.Deltas(PODS, "*", "5", 1, [ROW])]
    return Published(
        FORMAT, "r:1:r", ("", 0), 1, 1, cluster_id, address, {"*": Reached("", "", 1, "")},
        begun if entries is None else entries, [],
    )  # fmt: skip


class Host:
    """A broker with a reflector of one stream and a worker of the one shard, which has nothing yet."""

    def __init__(self) -> None:
        self.broker = RelayBroker({PODS: ["*"]}, 1, boot="b")
        self.actions: list[Action] = []
        self.do(
            self.broker.hello(Side.REFLECTORS, b"r.1", "reflector", "reflector-0", {"streams": [[PODS, "*"]]})
        )
        self.do(self.broker.hello(Side.WORKERS, b"w.1", "informer", "worker-0", {"shards": [[PODS, 0]]}))

    def do(self, actions: list[Action]) -> None:
        self.actions += actions

    def finds(self, cluster_id: str, address: str = "") -> None:
        """The reflector has found this cluster."""
        said = reflectors.Cluster("dev", cluster_id, address)
        self.do(self.broker.message(Side.REFLECTORS, b"r.1", said))

    def stores(self, cluster_id: str) -> None:
        """The worker has opened its store for this cluster."""
        state = workers.ShardState(PODS, 0, cluster_id, "", 0, {"*": workers.StreamAt("", "", 0)})
        self.do(self.broker.message(Side.WORKERS, b"w.1", state))

    def leads(self, tail: Published) -> None:
        self.do(self.broker.leads(PODS, "me", {0: (tail, 1)}, {}))

    def consumes(self, *messages: Published) -> list[Send]:
        """What the worker gets of them."""
        [token] = [want.token for want in self.broker.wants() if isinstance(want, Consume)]
        self.do(self.broker.opened(PODS, 0, token, messages[-1]))
        self.actions.clear()
        for sequence, one in enumerate(messages, 1):
            self.do(self.broker.delivered(PODS, 0, token, sequence, encode(one)))
        self.do(self.broker.pump())
        return [a for a in self.actions if isinstance(a, Send) and a.side is Side.WORKERS]

    @property
    def stopped_for(self) -> str:
        return self.broker.shared(PODS).streams["*"].stopped_for


def is_named(host: Host) -> bool:
    said = host.stopped_for
    return (
        "cluster ours, and the queue on NATS is of cluster theirs: another pipeline has this engine.name"
        in said
    )


@pytest.mark.parametrize("is_heard_first", [True, False])
def test_a_queue_of_another_cluster_is_not_led_and_named_with_what_to_do(is_heard_first: bool):
    host = Host()
    if is_heard_first:
        host.do(host.broker.heard_tails(PODS, [message("theirs")]))
        host.finds("ours")
        assert not host.broker.may_lead(PODS)
    else:
        host.finds("ours")
        assert host.broker.may_lead(PODS)
    host.leads(message("theirs"))
    assert not host.broker.may_lead(PODS)
    assert not host.broker.shared(PODS).leads
    assert [want for want in host.broker.wants() if isinstance(want, Publish)] == []
    assert is_named(host)


def test_what_is_of_another_cluster_reaches_no_store():
    host = Host()
    host.finds("ours")
    host.stores("ours")
    assert host.consumes(message("theirs")) == []
    assert is_named(host)


def test_the_queue_of_this_cluster_is_led_and_consumed():
    host = Host()
    host.finds("ours")
    host.stores("ours")
    assert host.consumes(message("ours"))
    host.leads(message("ours"))
    assert host.broker.shared(PODS).leads
    assert host.stopped_for == ""


@pytest.mark.parametrize(
    ("found", "queued"), [(("uid", "at-a"), ("at-a", "at-a")), (("at-a", "at-a"), ("at-a", "at-a"))]
)
def test_a_uid_and_the_address_at_which_it_was_read_are_one_cluster(
    found: tuple[str, str], queued: tuple[str, str]
):
    host = Host()
    host.finds(*found)
    host.leads(message(*queued))
    assert host.broker.may_lead(PODS)
    assert host.broker.shared(PODS).leads


def test_a_host_without_reflectors_takes_the_cluster_that_the_queue_is_of():
    host = Host()
    host.do(host.broker.gone(Side.REFLECTORS, b"r.1"))
    host.do(host.broker.heard_tails(PODS, [message("theirs")]))
    host.stores("theirs")
    assert host.consumes(message("theirs"))


def test_workers_that_began_with_the_queues_cluster_begin_anew_and_wait():
    host = Host()
    host.do(host.broker.heard_tails(PODS, [message("theirs")]))
    host.stores("theirs")
    assert not host.broker.is_refused
    assert [want for want in host.broker.wants() if isinstance(want, Consume)]
    host.actions.clear()
    host.finds("ours")
    assert host.broker.is_refused
    assert Reset(Side.WORKERS, b"w.1", f"the queue of {PODS} is of another cluster") in host.actions
    host.actions.clear()
    # Also while the reflector is away.
    host.do(host.broker.gone(Side.REFLECTORS, b"r.1"))
    host.do(host.broker.hello(Side.WORKERS, b"w.1", "informer", "worker-0", {"shards": [[PODS, 0]]}))
    assert [a for a in host.actions if isinstance(a, Send) and a.side is Side.WORKERS] == []
    assert not [want for want in host.broker.wants() if isinstance(want, Consume)]


def test_a_reign_over_a_queue_of_another_cluster_is_declined_and_led_by_nobody():
    host = Host()
    host.finds("ours")
    host.leads(message("theirs"))
    resigned = [want for want in host.broker.wants() if isinstance(want, Resign)]
    assert resigned == [Resign(PODS, "me", is_declined=True)]
