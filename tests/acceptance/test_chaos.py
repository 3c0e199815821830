"""P1 to P9 at once: `deltawire chaos` with fixed seeds, whose schedules are the same each time.

A thousand kills are `make chaos-full`. A failure prints the seed and where all files of the run are.
"""

import json
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


@pytest.mark.timeout(300)
def test_a_pipeline_whose_processes_are_killed_at_random_loses_and_invents_nothing(tmp_path):
    verdict = chaos(tmp_path, 98, "--kills", "3")
    assert verdict["calls"] > verdict["keys"] > 0
    assert sum(verdict["actions"].values()) == 3
    assert verdict["claims"] > 0
    assert verdict["lists"] == 2, "each resource was listed once"
