"""Random kills of random processes for a while, under churn; the judge looks after each round.

Deselected unless asked for: `make soak` (SOAK_S=600 SEED=7 make soak to choose). A failure prints its seed.
"""

import os
import random
import time

import pytest

from tests.support.pipeline import running, wait_until

SOAK_S = float(os.environ.get("SOAK_S", "0"))
pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(SOAK_S + 300),
    pytest.mark.xdist_group("acceptance"),
    pytest.mark.skipif(not SOAK_S, reason="takes as long as it is told to: make soak"),
]
KILLS_A_ROUND = 5


def test_random_kills_for_a_while_lose_nothing(tmp_path):
    seed = int(os.environ.get("SEED", time.time()))
    print(f"seed {seed}")
    rng = random.Random(seed)
    deadline = time.monotonic() + SOAK_S
    with running(tmp_path, "--objects", "pods=300") as (server, pipeline):
        pipeline.wait_synced()
        lists, rounds = len(server.reflectors_lists()), 0
        while time.monotonic() < deadline:
            rounds += 1
            server.churn(rng.choice((50, 200, 500)))
            for _ in range(rng.randint(1, KILLS_A_ROUND)):
                time.sleep(rng.uniform(0, 2))
                if rng.random() < 0.15:
                    pipeline.kill_everything()
                    time.sleep(rng.uniform(0, 3))
                    pipeline.up()
                    pipeline.wait_synced(60)
                else:
                    names = wait_until("processes", pipeline.pids)
                    victim = rng.choice(sorted(name for name, pid in names.items() if pid))
                    try:
                        pipeline.kill_9(victim)
                    except (KeyError, ProcessLookupError):
                        continue  # it was just being restarted
                    print(f"round {rounds}: killed {victim}")
            server.churn(0)
            pipeline.wait_quiet(120)
            verdict = pipeline.judge_in_the_end()
            assert verdict["complaints"] == 0, (seed, rounds, verdict)
            assert len(server.reflectors_lists()) == lists, (
                f"seed {seed}, round {rounds}: something was listed"
            )
        assert pipeline.down() == 0
