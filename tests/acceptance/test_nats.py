"""P3 with `engine: nats`: each process of two hosts and each NATS server is killed, and the judge is content."""

from pathlib import Path

import pytest

from tests.acceptance.nats_demo import run
from tests.support.nats_hosts import TwoHosts

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("nats"),
]
VICTIMS = ["fifo-0", "reflector-1", "worker-0", "fifo-1", "latest", "nats-0", "nats-1", "nats-2"]


def test_each_process_of_two_hosts_and_each_nats_server_is_killed_and_nothing_is_lost(
    tmp_path: Path,
):
    with TwoHosts(tmp_path, nodes=3, objects=100, churn_per_s=30) as hosts:
        result = run(hosts, VICTIMS)
        assert result["complaints"] == 0, result["verdict"]
        # Servers that die one after the other may lose what they had confirmed: that is listed.
        assert result["lists_more"] == 0
