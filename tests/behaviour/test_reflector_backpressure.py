"""P5: without credit the reflector stops reading; what it holds is bounded."""

import time

import pytest

from deltawire.common.limits import BATCH_BYTES_MAX, MIB
from deltawire.reflector.reader import INBOX_BYTES_MAX
from tests.support.reflector_rig import PODS, Rig, pod

CHUNK_BYTES = 64 * 1024
LABEL_BYTES = 200_000


@pytest.fixture
def rig(api_server_factory):
    with Rig(api_server_factory, options={"window_bytes_max": 256 * MIB}) as made:
        made.broker.gives_back = False
        yield made


def create_large(rig, count):
    for n in range(count):
        large = pod(f"p{n}")
        large["metadata"]["annotations"] = {"blob": "x" * LABEL_BYTES}
        rig.server.create("pods", large, "default")


def test_a_spent_credit_stops_the_reading_and_bounds_what_is_held(rig):
    rig.broker.credit = (3, 32 * MIB)
    rig.broker.until(lambda: rig.broker.of("end"))
    create_large(rig, 100)
    rig.broker.until(lambda: len(rig.broker.objects[PODS]) == 3)
    rig.broker.until(lambda: rig.stream()["waiting_bytes"] >= INBOX_BYTES_MAX)
    rig.broker.pump_for(0.3)
    assert len(rig.broker.objects[PODS]) == 3
    assert rig.stream()["waiting_bytes"] < INBOX_BYTES_MAX + BATCH_BYTES_MAX + 2 * (LABEL_BYTES + CHUNK_BYTES)

    rig.broker.gives_back = True
    rig.broker.send("credit", PODS, "*", 100, 32 * MIB)
    rig.broker.until(lambda: len(rig.broker.objects[PODS]) == 100)
    assert rig.resume_watches() == []


def test_a_stream_without_credit_does_not_hold_up_the_others(api_server_factory):
    informers = [{"resource": "pods", "namespaces": ["default", "kube-system"]}]
    with Rig(api_server_factory, informers) as rig:
        rig.broker.until(lambda: len(rig.broker.of("end")) == 2)
        rig.broker.gives_back = False
        rig.broker.credit = (1, MIB)
        rig.broker.reset()
        rig.broker.until(lambda: len(rig.resume_watches()) == 2)
        rig.create("a", "b", "c")
        rig.create("d", namespace="kube-system")
        rig.broker.until(lambda: "kube-system/d" in rig.broker.objects[PODS])
        assert len(rig.broker.objects[PODS]) == 2


def test_an_event_arrives_at_once(api_server_factory):
    with Rig(api_server_factory) as rig:
        rig.broker.until(lambda: rig.broker.of("end"))
        took_ms = []
        for n in range(50):
            began = time.perf_counter()
            rig.create(f"p{n}")
            rig.broker.until(lambda n=n: f"default/p{n}" in rig.broker.objects[PODS])
            took_ms.append((time.perf_counter() - began) * 1000)
        # The server, its thread's loop and the test share one interpreter; no batching delay may be in it. One would be
        # in each of them; what a busy machine adds is not in the quickest ones.
        assert sorted(took_ms)[5] < 20
