"""P6, P7: two reflectors share the streams, each is watched once, and one's death does not delay the other's."""

from collections import Counter

import pytest

from tests.support.patience import stretch
from tests.support.pipeline import Pipeline, ServerProcess, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120), pytest.mark.xdist_group("faults")]
RESOURCES = ("pods", "deployments.apps", "replicasets.apps", "jobs.batch")
# From the API server's socket to the commit, on a machine that runs other tests besides: milliseconds, if alone.
# On a machine as busy as patience takes for granted; of a busier one, so many times as much.
LAG_MS_MAX = 2000


@pytest.fixture
def both(tmp_path):
    server = ServerProcess(tmp_path, "--objects", "pods=100")
    pipeline = Pipeline(tmp_path, server.kubeconfig)
    pipeline.handle(*RESOURCES)
    try:
        pipeline.up()
        yield server, pipeline
    except BaseException:
        print(pipeline.log[-8000:])
        raise
    finally:
        pipeline.close()
        server.stop()


def watches(server):
    """Requests by resource that a reflector's watch began with."""
    return Counter(entry["resource"] for entry in server.reflectors_watches())


def test_killing_one_reflector_leaves_the_streams_of_the_other_alone(both):
    server, pipeline = both
    status = pipeline.wait_synced()
    assert {name for name, p in status["processes"].items() if p["role"] == "reflector"} == {
        "reflector-0",
        "reflector-1",
    }
    owners = {name: stream["reflector"] for name, stream in status["streams"].items()}
    assert set(owners.values()) == {"reflector-0", "reflector-1"}, "both must have something to do"
    assert watches(server) == dict.fromkeys(RESOURCES, 1), "each stream's watch is there once"

    server.churn(60)
    victim = owners["dev/pods@*"]
    others = [n.partition("@")[0] for n, owner in owners.items() if owner != victim]
    busy = next(name for name in others if name in ("dev/deployments.apps", "dev/replicasets.apps"))
    wait_until("churn to arrive", lambda: pipeline.answer()["informers"][busy]["events_per_s"] > 0)
    pipeline.kill_9(victim)
    lags, applied, stretches = [], [], [1.0]

    def goes_on():
        status = pipeline.answer()
        stretches.append(stretch())
        lags.append(status["informers"][busy]["lag_ms"])
        applied.append(status["informers"][busy]["applied"])
        assert not any(s["error"] for s in status["streams"].values() if s["reflector"] != victim)
        return applied[-1] > applied[0]

    wait_until("the other's informers to go on while the victim is away", goes_on)
    server.churn(0)
    assert max(lags) < LAG_MS_MAX * max(stretches), lags
    pipeline.wait_quiet()
    for name, owner in owners.items():
        resource = name.removeprefix("dev/").removesuffix("@*")
        assert watches(server)[resource] == (2 if owner == victim else 1), name
    assert len(server.reflectors_lists()) == len(RESOURCES)
    verdict = pipeline.judge(RESOURCES)
    assert verdict["complaints"] == 0, verdict
    assert pipeline.down() == 0
