"""P1 to P6 and P9 with `engine: nats` and an archive: `deltawire chaos --engine nats` with a fixed seed.

A fresh one, for longer, runs in `make chaos-nats`. A failure prints the seed and where all files of the run are.
"""

from pathlib import Path

import pytest

from tests.acceptance.test_chaos import chaos

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("nats"),
]


def test_two_hosts_and_three_nats_servers_that_are_hit_at_random_lose_and_invent_nothing(tmp_path: Path):
    """Hosts lost with and without their disks, a NATS server that loses its disk, partitions, stops, kills."""
    verdict = chaos(tmp_path, 5, "--engine", "nats", "--for", "50s")
    assert verdict["calls"] > verdict["keys"] > 0
    assert {"host-loss", "host-kill", "nats-kill", "nats-stop", "nats-wipe", "partition"} <= set(
        verdict["actions"]
    )
