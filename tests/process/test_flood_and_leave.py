"""A peer that fills a socket's queue and leaves while it is not read: libzmq must not abort the process."""

import subprocess
import sys
import tempfile
import time

import pytest

from tests.support.hostile import flood

pytestmark = [pytest.mark.process, pytest.mark.timeout(120), pytest.mark.xdist_group("flood")]

# Longer than any timer of libzmq's own may sleep: with its heartbeats on, the abort came within 5 s.
STANDSTILL_S = 7.0
READER = """
import sys
import zmq
from deltawire.common.clock import SystemClock
from deltawire.common.wire import sockets

socket, *rest = sockets.bind(zmq.Context(), sys.argv[1], SystemClock())
print("bound", flush=True)
sys.stdin.readline()
count = 0
while socket.poll(1000):
    socket.recv_multipart()
    count += 1
print(count, flush=True)
"""


@pytest.mark.parametrize("with_heartbeats", [False, True], ids=["plain", "with heartbeats of its own"])
def test_a_socket_whose_peer_filled_it_and_left_while_its_owner_stood_still_aborts_nobody(
    with_heartbeats,
) -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as folder:
        endpoint = f"ipc://{folder}/socket"
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, endpoint],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "bound\n"
            flood(endpoint, 60_000, with_heartbeats=with_heartbeats)
            # The owner stands still: time itself is what is needed here.
            time.sleep(STANDSTILL_S)
            out, err = reader.communicate("\n", timeout=60)
        finally:
            reader.kill()
            reader.wait()
    assert reader.returncode == 0, err
    assert int(out) > 20_000, "the queue was full"
