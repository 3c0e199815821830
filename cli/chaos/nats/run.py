"""A chaos run on two hosts that share a queue and an archive on three NATS servers."""

from typing import Any

from deltawire.cli.chaos.actions import Kind
from deltawire.cli.chaos.nats.cluster import SERVERS, Cluster
from deltawire.cli.chaos.nats.driver import NatsDriver
from deltawire.cli.chaos.nats.hosts import HOSTS, Hosts
from deltawire.cli.chaos.nats.ways import Ways
from deltawire.cli.chaos.parts import AnyDriver, AnyPipeline
from deltawire.cli.chaos.run import Run

# What may take a place from a worker that still lives, as it may end only later.
CUTS_OFF = (
    Kind.PARTITION, Kind.NATS_KILL, Kind.NATS_KILL_ALL, Kind.NATS_STOP, Kind.NATS_WIPE
)  # fmt: skip


class NatsRun(Run):
    """No readiness is judged: there is none of several hosts together."""

    def _make(self) -> tuple[AnyPipeline, AnyDriver]:
        self._ways = Ways(self._folder)
        self._cluster = Cluster(self._folder, self._ways, self._clock)
        self._hosts = Hosts(self._folder, self._places, self._ways, self._clock)
        driver = NatsDriver(self._server, self._cluster, self._ways, self._hosts, self._log, self._clock)
        return self._hosts, driver

    def _prepare(self) -> None:
        self._ways.start()
        self._cluster.start_all()
        for host in range(HOSTS):
            for number in range(SERVERS):
                self._ways.add(f"host-{host}>nats-{number}", self._cluster.ports[number])

    def _told_besides(self) -> dict[str, Any]:
        cut_off = [[entry["at"], entry["until"]] for kind in CUTS_OFF for entry in self._log.of(kind)]
        return {"cut_off": sorted(cut_off)}
