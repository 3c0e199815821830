"""Watches that only count: raw sockets in a process of its own, as cheap as a reader can be.

    python bench/watchers.py PORT PATH COUNT

Opens COUNT watches, says "open", and then for each line ``N`` on stdin reads N events on every one of them and answers
with the time (CLOCK_MONOTONIC) of the last and the CPU seconds it took. Nothing is decoded: a watch's events
are its newlines less those of the chunks around them, which come with a carriage return.
"""

import json
import selectors
import socket
import sys
import time

BUFFER_BYTES = 1 << 20
DEADLINE_S = 120


def opened(port, path):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    connection.sendall(b"GET %s HTTP/1.1\r\nHost: bench\r\n\r\n" % path.encode())
    head = b""
    while b"\r\n\r\n" not in head:
        # Byte by byte: what follows the head belongs to the events.
        piece = connection.recv(1)
        if not piece:
            raise SystemExit(f"the server closed the connection: {head!r}")
        head += piece
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise SystemExit(f"no watch: {head!r}")
    connection.setblocking(False)
    return connection


def read(connections, events):
    """Until each connection has had so many events more."""
    buffer = bytearray(BUFFER_BYTES)
    selector = selectors.DefaultSelector()
    left = {}
    for connection in connections:
        selector.register(connection, selectors.EVENT_READ)
        left[connection] = events
    open_, deadline = len(connections), time.monotonic() + DEADLINE_S
    while open_:
        for key, _ in selector.select(1):
            connection = key.fileobj
            size = connection.recv_into(buffer)
            if not size:
                raise SystemExit("the server ended a watch")
            had = left[connection] > 0
            left[connection] -= buffer.count(b"\n", 0, size) - buffer.count(b"\r", 0, size)
            if had and left[connection] <= 0:
                open_ -= 1
        if time.monotonic() > deadline:
            raise SystemExit(f"events are missing: {sorted(left.values())}")
    selector.close()


def main():
    port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    connections = [opened(port, path) for _ in range(count)]
    print("open", flush=True)
    for line in sys.stdin:
        before = time.process_time()
        read(connections, int(line))
        print(json.dumps({"at": time.monotonic(), "cpu_s": time.process_time() - before}), flush=True)


if __name__ == "__main__":
    main()
