"""A peer that fills a socket's queue and leaves while it is not read: libzmq must not abort the process."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from deltawire.common.limits import SOCKET_MESSAGES_MAX
from tests.support.hostile import ON_THE_WAY, flood

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


def test_a_socket_whose_peer_filled_it_and_left_while_its_owner_stood_still_aborts_nobody() -> None:
    """Of two owners at once: peers with heartbeats of their own left the one, peers without left the other."""
    with tempfile.TemporaryDirectory(prefix="dw-") as folder, ExitStack() as readers:
        flooded = []
        for with_heartbeats in (False, True):
            endpoint = f"ipc://{folder}/socket-{with_heartbeats}"
            reader = readers.enter_context(_reader(endpoint))
            flood(endpoint, 60_000, with_heartbeats=with_heartbeats)
            flooded.append((reader, with_heartbeats))
        # The owners stand still: time itself is what is needed here.
        time.sleep(STANDSTILL_S)
        for reader, with_heartbeats in flooded:
            out, err = reader.communicate("\n", timeout=60)
            assert reader.returncode == 0, (with_heartbeats, err)
            assert int(out) >= SOCKET_MESSAGES_MAX - ON_THE_WAY, f"only {out.strip()} came: the queue was not full"


@contextmanager
def _reader(endpoint: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that has bound the socket, and reads it once a line comes."""
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, endpoint],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "bound\n"
        yield reader
    finally:
        reader.kill()
        reader.communicate()
