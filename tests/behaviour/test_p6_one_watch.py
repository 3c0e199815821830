"""P6 One watch per stream: restarts resume with one watch, and only what docs/watches.md names makes a list."""

import pytest

from deltawire.common.errors import StatusError
from deltawire.fifo.actions import Send, Side
from deltawire.fifo.broker import Broker
from deltawire.fifo.in_order import InMemoryEngine
from deltawire.reflector.action import Watch
from deltawire.reflector.identity import ClusterIdentity, ClusterUnknownError
from tests.support.messages import fields_of, kind_of, tell
from tests.support.reflector_bench import Bench, failed_event
from tests.support.reflector_rig import PODS, Rig

POD_STREAM = [["dev/pods", "*"]]
SHARDS = [["dev/pods", 0], ["dev/pods", 1]]


class Desk:
    """A broker's core whose stream runs; ``starts`` are the start messages to the reflector."""

    def __init__(self):
        self.broker = Broker({"dev/pods": ["*"]}, 2, boot="b1", engine=InMemoryEngine())
        self.starts = []
        self.reflector()
        self.worker(b"w.1", "", 0)

    def note(self, actions):
        self.starts += [
            fields_of(a.message) for a in actions if isinstance(a, Send) and kind_of(a.message) == "start"
        ]

    def reflector(self, identity=b"r.1"):
        self.note(
            self.broker.hello(
                Side.REFLECTORS, identity, "reflector", identity.decode(), {"streams": POD_STREAM}
            )
        )
        self.note(tell(self.broker, Side.REFLECTORS, identity, "cluster", ["dev", "c1"]))

    def worker(self, identity, boot, number, resume="10"):
        self.note(
            self.broker.hello(Side.WORKERS, identity, "informer", identity.decode(), {"shards": SHARDS})
        )
        for shard in (0, 1):
            said = ["dev/pods", shard, "c1", boot, number, {"*": [resume, resume, 1]}]
            self.note(tell(self.broker, Side.WORKERS, identity, "shard", said))


def test_a_worker_that_comes_back_asks_nothing_of_the_api_server():
    desk = Desk()
    assert [start[2] for start in desk.starts] == ["10"]
    desk.broker.gone(Side.WORKERS, b"w.1")
    desk.worker(b"w.2", "", 0)
    assert len(desk.starts) == 1, "a worker's restart must not start a stream again"


def test_a_reflector_that_comes_back_goes_on_where_the_broker_is():
    desk = Desk()
    row = ["A", "a", "k", "u1", "17", b"{}"]
    desk.note(tell(desk.broker, Side.REFLECTORS, b"r.1", "deltas", ["dev/pods", "*", "17", 1, [row]]))
    desk.broker.gone(Side.REFLECTORS, b"r.1")
    desk.reflector(b"r.2")
    assert [start[2] for start in desk.starts] == ["10", "17"]


def test_a_restarted_reflector_resumes_with_one_watch_and_no_list(api_server_factory):
    with Rig(api_server_factory) as rig:
        rig.create("a")
        rig.broker.until(lambda: "default/a" in rig.broker.objects.get(PODS, {}))
        rig.broker.until(lambda: rig.broker.accepted.get((PODS, "*")))
        rig.stop_reflector()
        rig.server.requests.clear()
        rig.create("b")
        accepted = rig.broker.accepted[PODS, "*"]
        rig.start_reflector()
        rig.broker.until(lambda: "default/b" in rig.broker.objects[PODS])
        assert rig.resume_watches() == [accepted]
        assert (rig.requests("list"), rig.streaming_lists()) == ([], [])


def test_a_watch_that_cannot_be_kept_at_its_version_is_followed_by_one_list():
    bench = Bench().watching("10")
    actions = bench.batch(
        failed_event(StatusError(500, "InternalError", "required revision has been compacted"))
    )
    assert [a.is_list for a in actions if isinstance(a, Watch)] == [True]
    assert bench.machine.lists == 1


def test_a_server_that_does_not_say_who_it_is_is_no_other_cluster():
    identity = ClusterIdentity("dev")
    identity.address = "a-1"
    identity.answered("u1")
    with pytest.raises(ClusterUnknownError):
        identity.refused(0.0, StatusError(403, "Forbidden", "namespaces is forbidden"))
    assert identity.id == "u1"


@pytest.mark.parametrize("news", [{"uid": "u1"}, {"uid": "u2"}])
def test_a_shard_that_is_lost_is_worth_a_list(news):
    desk = Desk()
    row = ["A", "a", "k", news["uid"], "17", b"{}"]
    desk.note(tell(desk.broker, Side.REFLECTORS, b"r.1", "deltas", ["dev/pods", "*", "17", 1, [row]]))
    desk.broker.gone(Side.WORKERS, b"w.1")
    desk.worker(b"w.2", "", 0, resume="")
    assert desk.starts[-1][2] == "", "what the lost shard had can only be listed"
