"""Candidates on real Leases of the embedded API server, in real time with short leases."""

import threading

import pytest

from deltawire.apiserver.server import ApiServer
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient
from deltawire.client.tools.events.recorder import EventBroadcaster, EventRecorder
from deltawire.client.tools.events.sink import EVENTS, ApiSink
from deltawire.client.tools.leader_election.elector import Callbacks, ElectionTimes, LeaderElector
from deltawire.client.tools.leader_election.lease_lock import LEASES, LeaseLock, config_for_election
from deltawire.common.errors import ConfigError
from tests.support.servers import eventually

TIMES = ElectionTimes(lease_duration_s=1.0, renew_deadline_s=0.8, retry_period_s=0.1)


class Candidate:
    def __init__(
        self,
        client: RESTClient,
        identity: str,
        *,
        release: bool = True,
        recorder: EventRecorder | None = None,
    ) -> None:
        self.stop = threading.Event()
        self.leads = threading.Event()
        self.lock = LeaseLock(client, "default", "boss", identity, labels={"app": "test"}, recorder=recorder)
        self.elector = LeaderElector(
            self.lock, Callbacks(self._lead, lambda: None), times=TIMES, release_on_cancel=release
        )
        self.thread = threading.Thread(target=self.elector.run, args=(self.stop,))
        self.thread.start()

    def _lead(self, over: threading.Event) -> None:
        self.leads.set()
        over.wait(30)
        self.leads.clear()

    def end(self) -> None:
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.mark.parametrize("release", [True, False])
def test_a_leader_hands_over_when_it_ends(client: RESTClient, release: bool) -> None:
    first = Candidate(client, "a", release=release)
    assert first.leads.wait(60)
    second = Candidate(client, "b")
    try:
        eventually(lambda: second.elector.leader == "a", "b sees who leads")
        assert not second.leads.is_set()
        first.end()
        assert second.leads.wait(60)
        assert not first.leads.is_set()
        assert second.elector.leader == "b"
    finally:
        first.end()
        second.end()
    lease = client.of(LEASES, "default").get("boss").into()
    assert lease["spec"]["leaseTransitions"] == 1
    assert lease["metadata"]["labels"] == {"app": "test"}


def test_leadership_is_told_in_events_about_the_lease(client: RESTClient) -> None:
    broadcaster = EventBroadcaster()
    broadcaster.start_recording_to_sink(ApiSink(client))
    candidate = Candidate(client, "a", recorder=broadcaster.new_recorder("test"))
    assert candidate.leads.wait(60)
    candidate.end()
    assert broadcaster.shutdown()
    items = client.get().resource(EVENTS).namespace("default").do().into()["items"]
    assert [(e["involvedObject"]["kind"], e["involvedObject"]["name"]) for e in items] == [
        ("Lease", "boss"),
        ("Lease", "boss"),
    ]
    assert {(e["reason"], e["message"]) for e in items} == {
        ("LeaderElection", "a became leader"),
        ("LeaderElection", "a stopped leading"),
    }


def test_labels_of_others_stay_on_the_lease(client: RESTClient) -> None:
    candidate = Candidate(client, "a")
    assert candidate.leads.wait(60)
    client.of(LEASES, "default").patch("boss", {"metadata": {"labels": {"other": "x", "app": "changed"}}})

    def labels() -> object:
        return client.of(LEASES, "default").get("boss").into()["metadata"]["labels"]

    try:
        eventually(lambda: labels() == {"other": "x", "app": "test"}, "ours is put back, the other stays")
        assert candidate.leads.is_set()
    finally:
        candidate.end()


def test_a_leader_whose_server_is_gone_ends_its_term_in_time(api_server: ApiServer) -> None:
    client = RESTClient(config_for_election(ClientConfig(api_server.url), TIMES.renew_deadline_s))
    candidate = Candidate(client, "a")
    assert candidate.leads.wait(60)
    api_server.stop()
    candidate.thread.join(10)
    assert not candidate.thread.is_alive()
    assert not candidate.leads.is_set()
    client.close()


def test_one_of_many_leads(client: RESTClient) -> None:
    candidates = [Candidate(client, f"c{i}") for i in range(4)]
    try:
        eventually(lambda: any(c.leads.is_set() for c in candidates), "somebody leads")
        assert sum(c.leads.is_set() for c in candidates) == 1
    finally:
        for candidate in candidates:
            candidate.stop.set()
        for candidate in candidates:
            candidate.end()


def test_a_candidate_without_an_identity_is_refused(client: RESTClient) -> None:
    with pytest.raises(ConfigError, match="needs an identity"):
        LeaseLock(client, "default", "boss", "")
