"""P8 over hosts: what is claimed of all of them follows from what each place's worker says, and silence is no claim."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from deltawire.cli.hosts.claims import Claims, by_places, claims_of
from deltawire.cli.hosts.overview import Overview
from deltawire.cli.hosts.places import Place
from deltawire.cli.hosts.queues import Queues
from deltawire.cli.supervisor.shape import GroupShape
from deltawire.cli.view.hosts import overview_lines
from deltawire.jetstream.brokers import BrokerState, QueueState
from deltawire.jetstream.moves import Here
from deltawire.jetstream.states import STATE_BYTES_MAX, GroupState, InformerState, WorkerState, bounded

PODS = "dev/pods"
WELL = InformerState(fresh=True, behind_s=0.5, still_s=0.5, lag_ms=2.0)
HANDLED = GroupState(synced=True, behind_s=1.5, pending=3, replicas=["web-0", "web-1"])
STATE = WorkerState(age_s=0.25, silent_s=6.0, informers={PODS: WELL}, groups={"web": {PODS: HANDLED}})
PLACES = {
    "worker-0": Place(host="aa", node="n1", lease_s=1.0),
    "worker-1": Place(host="bb", node="n2", lease_s=4.2),
}


def worker(place: str, **fields: object) -> Here:
    at = PLACES[place]
    return msgspec.structs.replace(
        Here(place=place, host=at.host, node=at.node, holds=True, works=True, state=STATE), **fields
    )


def state(**fields: object) -> WorkerState:
    return msgspec.structs.replace(STATE, **fields)


BOTH = [worker("worker-0"), worker("worker-1")]


def claims(heard: list[Here], places: dict[str, Place] = PLACES, *, off: bool = False) -> Claims:
    return claims_of([PODS], {"web": GroupShape([PODS], is_off=off)}, places, heard)


def test_all_is_ready_over_all_hosts_when_each_places_worker_says_so_of_its_part():
    found = claims(BOTH)
    assert (found.ready, found.unready) == (True, [])
    part = found.informers[PODS].places["worker-1"]
    assert (part.host, part.node, part.synced, part.fresh, part.lag_ms, part.pending) == (
        "bb", "n2", True, True, 2.0, 3,
    )  # fmt: skip
    assert (part.behind_s, part.still_s) == (0.75, 0.75), "what was said is as much older as its answer"
    assert (found.groups["web"].ready, found.groups["web"].pending) == (True, 6)
    assert found.groups["web"].behind_s == 1.75
    assert found.behind_s == 1.75, "all is ready as of the slowest part"


@dataclass
class Case:
    heard: list[Here]
    why: str
    places: dict[str, Place] = field(default_factory=lambda: PLACES)


BEHIND = WorkerState(silent_s=6.0, informers={PODS: InformerState(why="it is being listed again")}, groups=STATE.groups)
ELSEWHERE = GroupState(synced=True, behind_s=0.0, replicas=["web-9"])
UNPROVEN = GroupState(synced=True, replicas=["web-0"])
CASES = {
    "one does not answer": Case(
        [worker("worker-0")], "worker-1 on n2 (bb) does not answer; it was heard 4.2 s ago (its lease)"
    ),
    "only a host that waits for it answers": Case(
        [worker("worker-0"), Here(place="worker-1", host="cc", node="n3")],
        "worker-1 on n2 (bb) does not answer; it was heard 4.2 s ago (its lease)",
    ),
    "one is behind": Case(
        [worker("worker-0"), worker("worker-1", state=BEHIND)],
        "dev/pods: worker-1 on n2 (bb): it is being listed again",
    ),
    "one is not fresh": Case(
        [worker("worker-0"), worker("worker-1", state=state(informers={PODS: InformerState()}))],
        "dev/pods: worker-1 on n2 (bb): it is not fresh: the API server was not heard in time",
    ),
    "no host has a place": Case(
        BOTH, "no host has worker-1", {**PLACES, "worker-1": Place(standbys=["n3 (cc)"])}
    ),
    "one has only just got its place": Case(
        [worker("worker-0"), worker("worker-1", works=False, state=None)],
        "worker-1 on n2 (bb) is not at work yet",
    ),
    "one waits for the host that had its place last": Case(
        [worker("worker-0"), worker("worker-1", works=False, state=None, waits_for="n9 (ff)")],
        "worker-1 on n2 (bb) is not at work yet: the archive is new, and n9 (ff), which had it last, is waited for",
        {**PLACES, "worker-1": Place(host="bb", node="n2", waits_for="n9 (ff)")},
    ),
    "one is of an earlier version": Case(
        [worker("worker-0"), worker("worker-1", state=None)],
        "worker-1 on n2 (bb) says nothing of its informers yet, or is of an earlier version",
    ),
    "the loop of one stands still while its thread for NATS answers": Case(
        [worker("worker-0"), worker("worker-1", state=state(age_s=12.0))],
        "worker-1 on n2 (bb) answers, and its loop has stood still for 12 s",
    ),
    "one does not know an informer": Case(
        [worker("worker-0"), worker("worker-1", state=state(informers={}))],
        "dev/pods: worker-1 on n2 (bb): its worker does not know it: the configs of the hosts differ",
    ),
    "a group has not seen all at one": Case(
        [worker("worker-0"), worker("worker-1", state=state(groups={"web": {PODS: GroupState(replicas=["web-0"])}}))],
        "web: it has not seen all of dev/pods (worker-1)",
    ),
    "no replica has a session with both": Case(
        [
            worker("worker-0"),
            worker("worker-1", state=state(groups={"web": {PODS: ELSEWHERE}})),
        ],
        "web: no replica of it has a session with every worker (dev)",
    ),
    "what a group has handled is not proven yet at one": Case(
        [worker("worker-0"), worker("worker-1", state=state(groups={"web": {PODS: UNPROVEN}}))],
        "web: it is not proven yet what it has handled of dev/pods (worker-1)",
    ),
    "one has more to say than an answer holds": Case(
        [worker("worker-0"), worker("worker-1", state=WorkerState(silent_s=6.0, is_cut=True))],
        "worker-1 on n2 (bb) has more to say than one answer holds: see `deltawire status` there",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_one_host_lacks_is_not_ready_over_all_hosts_and_named_once(name: str):
    case = CASES[name]
    found = claims(case.heard, case.places)
    assert not found.ready
    assert found.unready == [case.why]


def test_where_nobody_answers_each_place_is_named_and_nothing_is_known():
    found = claims([])
    assert [line.partition(" does not answer")[0] for line in found.unready] == [
        "worker-0 on n1 (aa)", "worker-1 on n2 (bb)",
    ]  # fmt: skip
    part = found.informers[PODS].places["worker-0"]
    assert (part.synced, part.fresh, part.lag_ms, part.pending) == (False, False, None, None)
    assert (found.groups["web"].ready, found.groups["web"].pending) == (False, None)
    assert (found.groups["web"].behind_s, found.behind_s) == (None, None)


def test_a_group_that_is_off_on_every_host_is_not_judged_and_one_with_replicas_elsewhere_is():
    silent = state(groups={"web": {PODS: GroupState(pending=9)}})
    found = claims([worker("worker-0", state=silent), worker("worker-1", state=silent)], off=True)
    assert (found.ready, found.groups) == (True, {})
    assert claims(BOTH, off=True).groups["web"].ready


def test_what_plug_ins_watch_and_the_config_does_not_say_is_judged_by_what_workers_name():
    found = claims_of([], {"web": GroupShape([])}, PLACES, BOTH)
    assert found.ready
    assert list(found.informers) == [PODS]
    assert found.groups["web"].pending == 6


def test_without_an_archive_a_host_speaks_for_all_only_where_it_has_all_places():
    mine = {"worker-0": Place(host="aa"), "worker-1": Place(host="aa")}
    assert by_places(mine, "aa", {"ready": True, "unready": []}).ready
    assert by_places(mine, "aa", {"ready": False, "unready": ["dev/pods: no"]}).unready == ["dev/pods: no"]
    elsewhere = by_places(PLACES, "aa", {"ready": True, "unready": []})
    assert not elsewhere.ready
    assert elsewhere.unready == ["worker-1 on n2 (bb) is not asked: there is no archive"]
    assert by_places({"worker-0": Place()}, "aa", {"ready": True}).unready == ["no host has worker-0"]


def test_an_answer_that_is_larger_than_its_bound_says_so_in_place_of_its_figures():
    many = {f"dev/kind-{n}": InformerState(why="x" * 100) for n in range(STATE_BYTES_MAX // 100)}
    cut = bounded(WorkerState(silent_s=6.0, informers=many))
    assert (cut.is_cut, cut.informers, cut.silent_s) == (True, {}, 6.0)
    assert bounded(STATE) is STATE


def broker(host: str, **fields: Any) -> BrokerState:
    queue = QueueState(**{"depth": [1, 2, 4, 8], **fields})
    return BrokerState(name=f"b-{host}", host=host, node=f"n-{host}", age_s=1.0, silent_s=6.0, queues={PODS: queue})


def with_queues(*brokers: BrokerState) -> Claims:
    queues = Queues(brokers, ["worker-0", "worker-1", "worker-0", "worker-1"])
    return claims_of([PODS], {"web": GroupShape([PODS])}, PLACES, BOTH, queues)


def test_what_waits_for_a_place_is_counted_in_its_own_hosts_broker():
    found = with_queues(broker("aa"), broker("bb", depth=[0, 16, 0, 32]))
    places = found.informers[PODS].places
    assert found.ready
    assert (places["worker-0"].queued, places["worker-1"].queued) == (5, 48)
    assert with_queues(broker("bb")).informers[PODS].places["worker-0"].queued is None


@pytest.mark.parametrize(
    ("stuck", "is_named"),
    [
        (broker("cc", stuck="its stream is full", leads=True), True),
        (broker("aa", stuck="its stream is full"), True),
        (broker("cc", stuck="its stream is full"), False),
        (msgspec.structs.replace(broker("aa", stuck="its stream is full"), age_s=7.0), False),
    ],
    ids=["it leads", "it has shards", "it has neither", "it does not turn"],
)
def test_a_queue_that_stands_still_is_named_by_the_broker_that_it_matters_to(stuck: BrokerState, is_named: bool):
    found = with_queues(stuck)
    assert found.ready != is_named
    assert (found.unready == [
        f"{PODS}: its queue on NATS stands still: its stream is full (says the broker on {stuck.node} ({stuck.host}))"
    ]) == is_named  # fmt: skip
    assert found.informers[PODS].ready != is_named
    assert found.groups["web"].ready != is_named


def test_the_text_has_a_row_for_each_informer_and_place_and_one_line_for_all():
    def text(heard: list[Here]) -> list[str]:
        return overview_lines(Overview(can_move=True, places=PLACES, shards=[], hosts=claims(heard)))

    well = text(BOTH)
    assert well[-1] == "ready over all hosts, as of 1s ago"
    row = next(line.split() for line in well if line.startswith("dev/pods") and "worker-1" in line)
    assert row == ["dev/pods", "worker-1", "n2", "(bb)", "yes", "yes", "?", "2.0", "ms", "3", "0s"]
    silent = text([worker("worker-0")])
    assert silent[-1].startswith("NOT READY OVER ALL HOSTS worker-1 on n2 (bb) does not answer")
    row = next(line.split() for line in silent if line.startswith("dev/pods") and "worker-1" in line)
    assert row == ["dev/pods", "worker-1", "n2", "(bb)", "?", "?", "?", "-", "?", "?"]
