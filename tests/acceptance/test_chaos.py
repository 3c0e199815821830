"""P1 to P9 at once: `deltawire chaos` with fixed seeds, whose schedules are the same each time.

A long and a fresh one run in `make test-long`, a thousand kills in `make chaos-full`. A failure prints the seed and
where all files of the run are.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

DELTAWIRE = Path(sys.executable).with_name("deltawire")
pytestmark = [pytest.mark.process, pytest.mark.xdist_group("acceptance")]


def chaos(folder, seed, *arguments):
    """The verdict of one run. The command ends by itself: it waits for progress, never for ever."""
    done = subprocess.run(
        [str(DELTAWIRE), "chaos", "--seed", str(seed), "--dir", str(folder), "--json", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(done.stderr[-6000:])
    verdict = json.loads(done.stdout) if done.stdout else {"violations": [["run", done.stderr]], "counts": {}}
    assert verdict["violations"] == [], (
        f"seed {seed}: {verdict['counts']}, see {folder}: {verdict['violations']}"
    )
    assert done.returncode == 0
    return verdict


# Kills of all roles, a total one, stops, restarted handlers, a renamed group, the API server killed, restarted and cut.
@pytest.mark.timeout(300)
def test_a_pipeline_that_is_hit_at_random_loses_and_invents_nothing(tmp_path):
    verdict = chaos(tmp_path, 2480, "--for", "8s")
    assert verdict["calls"] > verdict["keys"] > 0
    actions = verdict["actions"]
    # One whose pipeline is killed at that moment is not restarted.
    assert 0 < actions.pop("handlers restarted") <= actions["handler-restart"]
    assert sum(actions.values()) == 16
    assert verdict["claims"] > 0
    assert verdict["lists"] >= 2, "each resource was listed once, at least"


@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_pipeline_that_is_changed_while_it_runs_and_hit_at_random_loses_and_invents_nothing(tmp_path):
    """Handlers come, go and are scaled, informers get indexes: by `deltawire apply`, among kills of all roles."""
    verdict = chaos(tmp_path, 1034, "--for", "20s")
    # One whose pipeline is killed at that moment is made by a new start.
    assert 0 < verdict["actions"]["apply"] <= verdict["actions"]["restart"]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_fixed_seed_for_a_minute_loses_and_invents_nothing(tmp_path):
    """Everything of the short one, and the API server's history lost behind the reflectors' backs."""
    verdict = chaos(tmp_path, 1219, "--for", "60s")
    assert verdict["actions"]["compact-behind"] > 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_fresh_seed_for_a_minute_loses_and_invents_nothing(tmp_path):
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1, 1_000_000)))
    print(f"seed {seed}")
    chaos(tmp_path, seed, "--for", "60s")
