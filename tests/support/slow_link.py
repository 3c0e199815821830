"""``slow_link.py PID DEVICE PID DEVICE``: a link between the networks of two processes that loses and delays packets.

Each end is a TUN device. A line ``LOSS DELAY_S`` on stdin says how it is from then on: the probability with which a
packet is lost, and how much later it is passed on. It begins without either, and ends with its stdin. A script of its
own on the standard library only.
"""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEADER = 0x1001
_PACKET_BYTES_MAX = 65536
# Packets under way; more are lost, as on any link.
_UNDER_WAY_MAX = 10_000
_SEED = 7


def open_device(pid: int, name: str) -> int:
    """A new TUN device in the network of the process; its descriptor. Moves this process there."""
    with open(f"/proc/{pid}/ns/net") as space:
        if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", name.encode(), _TUN_WITHOUT_HEADER))
    return device


def main() -> None:
    one = open_device(int(sys.argv[1]), sys.argv[2])
    other = open_device(int(sys.argv[3]), sys.argv[4])
    opposite = {one: other, other: one}
    print("linked", flush=True)
    chance = random.Random(_SEED)
    loss, delay_s = 0.0, 0.0
    under_way: list[tuple[float, int, int, bytes]] = []
    number = 0
    while True:
        timeout_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        ready, _, _ = select.select([sys.stdin.fileno(), one, other], [], [], timeout_s)
        if sys.stdin.fileno() in ready:
            line = os.read(sys.stdin.fileno(), 1000)
            if not line:
                return
            loss, delay_s = map(float, line.split()[-2:])
        for source in ready:
            while source in opposite and len(under_way) < _UNDER_WAY_MAX:
                try:
                    packet = os.read(source, _PACKET_BYTES_MAX)
                except OSError:
                    break
                if chance.random() >= loss:
                    number += 1
                    heapq.heappush(under_way, (time.monotonic() + delay_s, number, opposite[source], packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, target, packet = heapq.heappop(under_way)
            try:
                os.write(target, packet)
            except OSError:
                pass  # the device is down, or full: a packet that is lost


if __name__ == "__main__":
    main()
