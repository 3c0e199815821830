"""NATS servers with JetStream as processes of a test: one, or a cluster of three, each with a folder of its own."""

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.support.keyed import free_port
from tests.support.patience import Patience

SERVER = Path(sys.executable).parent / "nats-server"


class NatsServers:
    """``count`` servers; with more than one they are a cluster. ``more``: lines of their config. Ended with the
    ``with`` block."""

    def __init__(
        self,
        folder: Path,
        *,
        count: int = 1,
        payload_bytes_max: int = 16 * 1024**2,
        jetstream: bool = True,
        more: str = "",
    ) -> None:
        self.folder = folder
        ports = [(free_port(), free_port(), free_port()) for _ in range(count)]
        routes = ", ".join(f'"nats://127.0.0.1:{route}"' for _, route, _ in ports)
        self.urls = [f"nats://127.0.0.1:{port}" for port, _, _ in ports]
        self._monitors = [f"http://127.0.0.1:{port}" for _, _, port in ports]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for index, (port, route, monitor) in enumerate(ports):
            place = folder / f"nats-{index}"
            place.mkdir(parents=True, exist_ok=True)
            text = (
                f'listen: "127.0.0.1:{port}"\nhttp: "127.0.0.1:{monitor}"\nserver_name: n{index}\n'
                f"max_payload: {payload_bytes_max}\n"
            )
            if jetstream:
                text += (
                    f'jetstream {{ store_dir: "{place}/js", max_file_store: 4GB, max_memory_store: 64MB }}\n'
                )
            if count > 1:
                text += f'cluster {{ name: c, listen: "127.0.0.1:{route}", routes: [{routes}] }}\n'
            (place / "nats.base").write_text(text)
            (place / "nats.conf").write_text(f"{text}{more}\n")

    def __enter__(self) -> "NatsServers":
        for index in range(len(self.urls)):
            self.start(index)
        self.wait_healthy()
        return self

    def __exit__(self, *_: object) -> None:
        for index in list(self._processes):
            self.kill(index)

    def start(self, index: int) -> None:
        place = self.folder / f"nats-{index}"
        log = (place / "log").open("ab")
        self._processes[index] = subprocess.Popen(
            [SERVER, "-c", place / "nats.conf"], stdout=log, stderr=log, start_new_session=True
        )
        log.close()

    def configure(self, index: int, *, more: str) -> None:
        """Other lines in the config of one that runs."""
        place = self.folder / f"nats-{index}"
        (place / "nats.conf").write_text(f"{(place / 'nats.base').read_text()}{more}\n")
        self._processes[index].send_signal(signal.SIGHUP)

    def kill(self, index: int) -> None:
        process = self._processes.pop(index)
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()

    def stop(self, index: int) -> None:
        """SIGSTOP."""
        self._processes[index].send_signal(signal.SIGSTOP)

    def go_on(self, index: int) -> None:
        self._processes[index].send_signal(signal.SIGCONT)

    def lose(self, index: int) -> None:
        """Kill it and throw its disk away."""
        self.kill(index)
        shutil.rmtree(self.folder / f"nats-{index}" / "js")

    def wait_healthy(self) -> None:
        """All that run say that they are well, JetStream and its leader included."""
        patience = Patience(30)
        for index in list(self._processes):
            while not self._is_healthy(index):
                if patience.left_s() <= 0:
                    log = (self.folder / f"nats-{index}" / "log").read_text()[-2000:]
                    raise AssertionError(f"NATS server {index} is not well: {log}")
                time.sleep(0.05)

    def wait_caught_up(self) -> None:
        """Each stream has a leader, and all its copies are as the leader's.

        A server says that it is well before that: if the next one dies then, the servers may have lost what they had
        confirmed.
        """
        patience = Patience(60)
        while not self._are_copies_equal():
            assert patience.left_s() > 0, "the streams' copies on NATS are not equal"
            time.sleep(0.05)

    def _are_copies_equal(self) -> bool:
        found, equal = set(), set()
        for index in self._processes:
            try:
                with urllib.request.urlopen(f"{self._monitors[index]}/jsz?streams=true", timeout=2) as answer:  # noqa: S310
                    accounts = json.load(answer).get("account_details", [])
            except OSError:
                return False
            for stream in (stream for account in accounts for stream in account.get("stream_detail", [])):
                found.add(stream["name"])
                cluster = stream.get("cluster", {})
                copies = cluster.get("replicas", [])
                if cluster.get("leader") == f"n{index}" and all(
                    copy.get("current") and not copy.get("offline") and not copy.get("lag") for copy in copies
                ):
                    equal.add(stream["name"])
        return bool(found) and found == equal

    def _is_healthy(self, index: int) -> bool:
        try:
            with urllib.request.urlopen(f"{self._monitors[index]}/healthz", timeout=2) as answer:  # noqa: S310
                return answer.status == 200
        except OSError:
            return False
