"""Figures of the embedded API server: events pushed, watches held, objects loaded and listed, writes, its start.

    python bench/apiserver.py [--rounds 5] [--idle 10000] [--pods 100000] [--only push,idle,list,write,start]

The server is a process of its own (`apiserver_process.py`), the readers are raw sockets in another one
(`watchers.py`) that count and decode nothing. Prints Markdown tables of medians.
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PODS = 1000
WATCH = "/api/v1/namespaces/default/pods?watch=1&resourceVersion={version}"
ELSEWHERE = "/api/v1/namespaces/kube-system/pods?watch=1&resourceVersion={version}"
# Events of one round, by size and number of watches: about a second's worth each.
EVENTS = {(1, 1): 100_000, (4, 1): 50_000, (1, 20): 8_000, (4, 20): 4_000}
# Writes in one turn of the event loop: as many as the simulated cluster makes.
TURN = 32
READERS_MAX = 9_000


class Child:
    """A process that answers one line for each line."""

    def __init__(self, script, *arguments):
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.first = self._answer()

    def tell(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def answer(self):
        return json.loads(self._answer())

    def ask(self, do, **arguments):
        self.tell(json.dumps({"do": do, **arguments}))
        return self.answer()

    def close(self):
        self._process.stdin.close()
        self._process.wait(30)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args[1]} ended early")
        return line


@contextmanager
def child(script, *arguments):
    started = Child(script, *arguments)
    try:
        yield started
        started.close()
    finally:
        started.kill()


@contextmanager
def server():
    with child("apiserver_process.py") as started:
        started.port = json.loads(started.first)["port"]
        yield started


# -- pushing


def push(server, kib, watches, how, events):
    """(events/s of all watches together, server's CPU µs an event, readers' CPU µs an event) of one round."""
    path = WATCH.format(version=server.ask("version")["version"])
    with child("watchers.py", server.port, path, watches) as readers:
        readers.tell(str(events))
        if how == "at once":
            # All of it in one turn of the event loop: the watches get the next one, when all is written.
            before = server.ask("write", how="put", count=events, turn=events)
            began = before["ended"]
        else:
            before = server.ask("cost")
            began = server.ask("write", how=how, count=events, turn=TURN)["began"]
        done = readers.answer()
        after = server.ask("cost")
    server.ask("compact")
    pushed = events * watches
    cpu_s = after["cpu_s"] - before["cpu_s"]
    return pushed / (done["at"] - began), cpu_s / pushed * 1e6, done["cpu_s"] / pushed * 1e6


def pushed(rounds):
    print("| events | watches | size | events/s | server CPU µs an event | reader CPU µs an event |")
    print("| --- | --- | --- | --- | --- | --- |")
    found = {}
    for kib in (1, 4):
        with server() as started:
            started.ask("pods", count=PODS, kib=kib)
            for _ in range(rounds):
                for watches in (1, 20):
                    for how in ("at once", "put", "update"):
                        events = EVENTS[kib, watches]
                        if how == "update":
                            events //= 4
                        found.setdefault((how, watches, kib), []).append(
                            push(started, kib, watches, how, events)
                        )
    words = {
        "at once": "put in the store at once",
        "put": "put in the store meanwhile",
        "update": "updated meanwhile",
    }
    for how, word in words.items():
        for watches in (1, 20):
            for kib in (1, 4):
                rate, cpu, reader = map(statistics.median, zip(*found[how, watches, kib], strict=True))
                size = "1 KiB" if kib == 1 else "4.4 KB"
                print(f"| {word} | {watches} | {size} | {rate:,.0f} | {cpu:.1f} | {reader:.1f} |")


# -- idle watches


@contextmanager
def open_watches(server, count, path):
    """So many watches at the store's version, in as many processes as their descriptors need."""
    path = path.format(version=server.ask("version")["version"])
    readers = []
    try:
        while count > 0:
            share = min(count, READERS_MAX)
            readers.append(Child("watchers.py", server.port, path, share))
            count -= share
        yield readers
    finally:
        for reader in readers:
            reader.kill()


def idle(count):
    with server() as started:
        started.ask("pods", count=PODS, kib=4)
        print(
            "\n| idle watches | KiB each | opened in s | CPU ms a second while idle | one write reaches all in ms |"
        )
        print("| --- | --- | --- | --- | --- |")
        for watches in sorted({min(1000, count), count}):
            before = started.ask("cost")
            began = time.monotonic()
            with open_watches(started, watches, WATCH) as readers:
                opened_s = time.monotonic() - began
                after = started.ask("cost")
                assert after["watches"] == watches, after
                time.sleep(3)
                quiet = started.ask("cost")
                for reader in readers:
                    reader.tell("1")
                wrote = started.ask("write", how="update", count=1, turn=1)["began"]
                reached = max(reader.answer()["at"] for reader in readers) - wrote
            each = (after["rss_kib"] - before["rss_kib"]) / watches
            idle_ms = (quiet["cpu_s"] - after["cpu_s"]) / 3 * 1000
            print(f"| {watches:,} | {each:.1f} | {opened_s:.1f} | {idle_ms:.1f} | {reached * 1000:.0f} |")
            while started.ask("cost")["watches"]:
                time.sleep(0.1)


# -- many objects


def get(port, path):
    """(seconds, bytes) of a GET, headers and chunks included."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        began = time.monotonic()
        connection.sendall(b"GET %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n" % path.encode())
        total, last = 0, b""
        while piece := connection.recv(1 << 20):
            total += len(piece)
            last = piece if len(piece) > 64 else last + piece
        assert b"]}" in last[-20:], last[-100:]
        return time.monotonic() - began, total


def paged(port, limit):
    """(seconds, pages) of a whole list in pages."""
    token, pages, began = "", 0, time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        while True:
            path = f"/api/v1/pods?limit={limit}&continue={token}"
            connection.sendall(b"GET %s HTTP/1.1\r\nHost: bench\r\n\r\n" % path.encode())
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(1 << 20)
            head, _, body = data.partition(b"\r\n\r\n")
            (length,) = [
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            ]
            pieces, size = [body], len(body)
            while size < length:
                pieces.append(connection.recv(1 << 20))
                size += len(pieces[-1])
            pages += 1
            start = b"".join(pieces)[:500]
            _, found, rest = start.partition(b'"continue":"')
            if not found:
                return time.monotonic() - began, pages
            token = rest.partition(b'"')[0].decode()


def listed(pods, rounds):
    with server() as started:
        empty = started.ask("cost")["rss_kib"]
        loaded = started.ask("load", count=pods)["seconds"]
        started.ask("compact")
        full = started.ask("cost")["rss_kib"]
        print(f"\n| {pods:,} pods of 4.4 KB | |\n| --- | --- |")
        print(f"| created in the process | {loaded:.1f} s, {loaded / pods * 1e6:.0f} µs each |")
        print(f"| resident memory | {full / 1024:.0f} MiB, {(full - empty) / pods:.1f} KiB each |")
        whole = [get(started.port, "/api/v1/pods") for _ in range(rounds)]
        peak = started.ask("cost")["peak_kib"]
        seconds = statistics.median(seconds for seconds, _ in whole)
        print(f"| listed at once | {seconds:.2f} s, {whole[0][1] / (1 << 20):.0f} MiB |")
        print(f"| resident memory at most by then | {peak / 1024:.0f} MiB |")
        pages = [paged(started.port, 500) for _ in range(rounds)]
        seconds = statistics.median(seconds for seconds, _ in pages)
        print(f"| listed in {pages[0][1]} pages of 500 | {seconds:.2f} s |")


# -- writes


def put_over_http(port, count):
    """Milliseconds of each PUT of a pod of 4.4 KB, one after the other on one connection."""
    times = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"GET /api/v1/namespaces/default/pods/web-000000 HTTP/1.1\r\nHost: bench\r\n\r\n")
        tree = json.loads(connection.recv(1 << 20).partition(b"\r\n\r\n")[2])
        tree["metadata"].pop("resourceVersion")
        for number in range(count):
            tree["metadata"]["annotations"]["bench/http"] = str(number)
            body = json.dumps(tree).encode()
            request = (
                b"PUT /api/v1/namespaces/default/pods/web-000000 HTTP/1.1\r\nHost: bench\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            began = time.perf_counter()
            connection.sendall(request)
            answer = connection.recv(1 << 20)
            times.append((time.perf_counter() - began) * 1000)
            assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
            time.sleep(0.01)
    return times


def write_costs(rounds):
    print(
        "\n| watches | of | µs inside a write | server CPU µs a write, pushing included | PUT over HTTP, p50 ms |"
    )
    print("| --- | --- | --- | --- | --- |")
    with server() as started:
        started.ask("pods", count=PODS, kib=4)
        for watches, path, of in (
            (0, WATCH, ""),
            (1000, ELSEWHERE, "another namespace"),
            (1000, WATCH, "these pods"),
        ):
            with open_watches(started, watches, path) as readers:
                inside, cpu = [], []
                count = 50 if path == WATCH and watches else 500
                for _ in range(rounds):
                    before = started.ask("cost")["cpu_s"]
                    if path == WATCH:
                        for reader in readers:
                            reader.tell(str(count))
                    inside.append(
                        started.ask("write", how="update", count=count, turn=1)["seconds"] / count * 1e6
                    )
                    if path == WATCH:
                        for reader in readers:
                            reader.answer()
                    cpu.append((started.ask("cost")["cpu_s"] - before) / count * 1e6)
                if path == WATCH:
                    for reader in readers:
                        reader.tell("100")
                put_ms = statistics.median(put_over_http(started.port, 100))
            inside_us, cpu_us = statistics.median(inside), statistics.median(cpu)
            print(f"| {watches:,} | {of} | {inside_us:.0f} | {cpu_us:,.0f} | {put_ms:.2f} |")


# -- the start


def starts(rounds):
    """Until the server listens: in this process, and as a process until its kubeconfig is there."""
    from deltawire.apiserver.options import ApiServerOptions
    from deltawire.apiserver.server import ApiServer

    print("\n| start | ms | CPU ms |\n| --- | --- | --- |")
    for name, options in (
        ("in process", {}),
        ("in process, without a port", {"listen": False}),
        ("in process, with controllers", {"controllers": True}),
        ("in process, with TLS", {"tls": True}),
    ):
        times = []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            with ApiServer(ApiServerOptions(**options)):
                times.append((time.perf_counter() - began) * 1000)
        # The first one imports what these options need.
        print(f"| {name} | {statistics.median(times[1:]):.1f} | |")
    for name, arguments in (("process", ()), ("process, with controllers", ("--controllers",))):
        times, cpu = [], []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                kubeconfig = Path(folder) / "kubeconfig"
                command = [sys.executable, "-m", "deltawire.apiserver", "--write-kubeconfig", str(kubeconfig)]
                began = time.perf_counter()
                process = subprocess.Popen([*command, *arguments], stderr=subprocess.DEVNULL)
                while not kubeconfig.exists():
                    time.sleep(0.001)
                times.append((time.perf_counter() - began) * 1000)
                fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                cpu.append(sum(map(int, fields[11:13])) * 1000 / os.sysconf("SC_CLK_TCK"))
                process.terminate()
                process.wait()
        print(f"| {name} | {statistics.median(times):.0f} | {statistics.median(cpu):.0f} |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--pods", type=int, default=100_000)
    parser.add_argument("--only", default="push,idle,list,write,start", help="which of them, comma-separated")
    flags = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    only = flags.only.split(",")
    if "push" in only:
        pushed(flags.rounds)
    if "idle" in only:
        idle(flags.idle)
    if "list" in only:
        listed(flags.pods, flags.rounds)
    if "write" in only:
        write_costs(flags.rounds)
    if "start" in only:
        starts(flags.rounds)


if __name__ == "__main__":
    main()
