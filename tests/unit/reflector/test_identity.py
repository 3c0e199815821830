"""Who a cluster is (design.md §6): only a uid is an identity, and not knowing is none."""

import threading

import pytest

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.discovery.cluster_id import address_id
from deltawire.client.rest.client import RESTClient
from deltawire.common.clock import FakeClock
from deltawire.common.errors import StatusError, TransportError
from deltawire.reflector.cluster import SHARED_S_MAX, Cluster
from deltawire.reflector.identity import (
    UNKNOWN_AT_FIRST_S_MAX,
    UNKNOWN_S_MAX,
    ClusterChangedError,
    ClusterUnknownError,
)

HERE = ClientConfig("http://127.0.0.1:1")
ADDRESS = address_id(HERE)
FORBIDDEN = StatusError(403, "Forbidden", "namespaces is forbidden")
REFUSED = TransportError("connection refused", reason="refused")


class Server:
    """What it answers next: a uid, or an error."""

    def __init__(self):
        self.says = "u1"
        self.reads = 0

    def __call__(self, client):
        self.reads += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def cluster(server, clock):
    return Cluster("dev", lambda: RESTClient(HERE), server, clock)


def ask(cluster):
    """As a stream does after its connection ended."""
    cluster.connection_ended()
    cluster.check()


@pytest.mark.parametrize("code", [401, 403, 404, 429, 500, 503])
def test_what_is_no_uid_never_takes_the_place_of_one(cluster, server, clock, code):
    ask(cluster)
    server.says = StatusError(code, "Whatever", "no")
    with pytest.raises(ClusterUnknownError, match=f"kube-system: {code}"):
        ask(cluster)
    assert cluster.id == "u1"
    server.says = "u1"
    ask(cluster)
    assert (cluster.id, cluster.warning, cluster.error) == ("u1", "", None)


def test_another_uid_is_another_cluster(cluster, server):
    ask(cluster)
    server.says = "u2"
    with pytest.raises(ClusterChangedError):
        ask(cluster)
    assert (cluster.id, cluster.other) == ("u1", "u2")


def test_unknown_for_a_minute_at_the_same_address_goes_on_with_a_warning(cluster, server, clock):
    ask(cluster)
    server.says = FORBIDDEN
    with pytest.raises(ClusterUnknownError, match="goes on after 60 s"):
        ask(cluster)
    clock.advance(UNKNOWN_S_MAX - 1)
    with pytest.raises(ClusterUnknownError):
        ask(cluster)
    clock.advance(1)
    ask(cluster)
    assert cluster.id == "u1"
    assert "taken for u1 as before" in cluster.warning
    server.says = "u2"
    with pytest.raises(ClusterChangedError):
        ask(cluster)


def test_a_server_that_gave_no_answer_between_has_all_of_its_minute_to_start(cluster, server, clock):
    ask(cluster)
    for _ in range(3):
        server.says = FORBIDDEN
        with pytest.raises(ClusterUnknownError):
            ask(cluster)
        clock.advance(UNKNOWN_S_MAX - 1)
        server.says = REFUSED
        with pytest.raises(TransportError):
            ask(cluster)
        clock.advance(5)


def test_the_id_of_the_state_counts_for_a_new_process_too(cluster, server, clock):
    cluster.told("u1", ADDRESS)
    server.says = FORBIDDEN
    with pytest.raises(ClusterUnknownError):
        ask(cluster)
    clock.advance(UNKNOWN_S_MAX)
    ask(cluster)
    assert cluster.id == "u1"
    server.says = "u2"
    with pytest.raises(ClusterChangedError):
        ask(cluster)


def test_an_unknown_cluster_at_another_address_is_never_taken_for_the_known_one(cluster, server, clock):
    cluster.told("u1", "a-somewhere-else")
    server.says = FORBIDDEN
    for _ in range(3):
        with pytest.raises(ClusterUnknownError, match="its address is not the one"):
            ask(cluster)
        clock.advance(UNKNOWN_S_MAX)


def test_where_the_uid_was_never_readable_the_address_is_the_id_for_ever(cluster, server, clock):
    server.says = FORBIDDEN
    with pytest.raises(ClusterUnknownError):
        ask(cluster)
    clock.advance(UNKNOWN_AT_FIRST_S_MAX)
    ask(cluster)
    assert cluster.id == ADDRESS
    assert "its address stands for it" in cluster.warning
    for _ in range(3):
        clock.advance(1000)
        ask(cluster)


def test_a_process_that_is_told_its_own_address_need_not_wait(cluster, server):
    cluster.told(ADDRESS, ADDRESS)
    server.says = FORBIDDEN
    ask(cluster)
    assert cluster.id == ADDRESS


def test_a_uid_that_is_read_later_takes_the_place_of_the_address(cluster, server, clock):
    cluster.told(ADDRESS, ADDRESS)
    ask(cluster)
    assert (cluster.id, cluster.warning) == ("u1", "")
    server.says = "u2"
    with pytest.raises(ClusterChangedError):
        ask(cluster)


def test_a_stand_in_is_replaced_by_what_the_state_knows(cluster, server, clock):
    server.says = FORBIDDEN
    with pytest.raises(ClusterUnknownError):
        ask(cluster)
    clock.advance(UNKNOWN_AT_FIRST_S_MAX)
    ask(cluster)
    cluster.told("u1", ADDRESS)
    assert cluster.id == "u1"


class TestSharing:
    def test_one_reading_serves_all_streams_until_a_connection_ends_or_it_is_old(
        self, cluster, server, clock
    ):
        for _ in range(500):
            cluster.check()
        assert server.reads == 1
        clock.advance(SHARED_S_MAX)
        cluster.check()
        assert server.reads == 2
        cluster.connection_ended()
        cluster.check()
        assert server.reads == 3

    def test_who_waits_for_a_reading_that_fails_has_that_failure(self, clock):
        asked, go_on, ready = threading.Event(), threading.Event(), threading.Semaphore(0)
        reads = []

        def slow(_):
            reads.append(1)
            asked.set()
            assert go_on.wait(30)
            raise REFUSED

        cluster = Cluster("dev", lambda: RESTClient(HERE), slow, clock)
        failures = []

        def check():
            ready.release()
            try:
                cluster.check()
            except TransportError as error:
                failures.append(error)

        threads = [threading.Thread(target=check) for _ in range(20)]
        threads[0].start()
        assert asked.wait(30)
        for thread in threads[1:]:
            thread.start()
        for _ in threads:
            assert ready.acquire(timeout=30)
        go_on.set()
        for thread in threads:
            thread.join(30)
        assert failures == [REFUSED] * 20
        assert len(reads) < 20
        before = len(reads)
        with pytest.raises(TransportError):
            cluster.check()
        assert len(reads) == before + 1
