"""Twenty clusters in one pipeline, of which five fail in five ways: the others notice nothing.

The API servers are embedded ones in the test's own process.
"""

import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from tests.support.pipeline import RECORDER, Pipeline, wait_until
from tests.support.stage import Faces

pytestmark = [
    pytest.mark.process,
    pytest.mark.long,
    pytest.mark.xdist_group("many-clusters"),
    pytest.mark.timeout(500),
]

HEALTHY = [f"well-{number:02}" for number in range(15)]
FAILING = ["refusing", "hanging", "broken", "forbidding", "slow"]
# What is said of each: in the stream's error or, where nothing has failed yet, in the informer's `why`.
REASONS = {
    "refusing": r"refused",
    "hanging": r"went silent",
    "broken": r"500",
    "forbidding": r"403",
    "slow": r"listing|listed|not watched",
}
ACROSS = Path(__file__).parents[1] / "support" / "across_plugin.py"
# A change is handled within so long of its write, on a machine that is busy with other things as well.
AGE_S_MAX = 15.0
PODS_EACH = 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pod(name: str) -> dict[str, Any]:
    meta = {"name": name, "namespace": "default"}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


class Clusters:
    """The servers by the name of their cluster; one may be away, with its data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.servers: dict[str, ApiServer] = {}
        self._ports: dict[str, int] = {}
        for name in [*HEALTHY, *FAILING]:
            self._ports[name] = free_port()
            self.start(name)

    def kubeconfig(self, name: str) -> Path:
        return self._folder / f"{name}.kubeconfig"

    def start(self, name: str) -> None:
        options = ApiServerOptions(
            port=self._ports[name],
            data=self._folder / f"{name}.data",
            kubeconfig=self.kubeconfig(name),
            objects={"pods": PODS_EACH},
            bookmark_interval_s=2.0,
        )
        if (self._folder / f"{name}.data").exists():
            options = replace(options, objects={})
        self.servers[name] = ApiServer(options)
        self.servers[name].start()

    def fail(self) -> None:
        """Each of the five in its own way; what is open breaks."""
        self.servers["refusing"].stop()
        self.servers["hanging"].fault("latency", 3600)
        self.servers["broken"].fault("error", 500)
        self.servers["forbidding"].fault("error", 403)
        self.servers["slow"].fault("slow", 20)
        for name in FAILING[1:]:
            self.servers[name].cut()

    def mend(self) -> None:
        self.start("refusing")
        for name in FAILING[1:]:
            self.servers[name].clear_faults()

    def close(self) -> None:
        for server in self.servers.values():
            server.stop()


class Many:
    """The pipeline over all of them."""

    def __init__(self, clusters: Clusters, pipeline: Pipeline, faces: Faces) -> None:
        self.clusters = clusters
        self.pipeline = pipeline
        self.faces = faces
        self._changes = 0

    def status(self) -> dict[str, Any]:
        return self.pipeline.answer()

    def not_ready(self, names: list[str]) -> list[str]:
        """Those that are not synced and fresh by the status, or whose /readyz is not 200."""
        informers = self.status().get("informers", {})
        return [
            name
            for name in names
            if not (informers.get(f"{name}/pods", {}).get("synced") and informers[f"{name}/pods"]["fresh"])
            or self.faces.get(f"/readyz?cluster={name}", timeout=5.0)[0] != 200
        ]

    def wait_ready(self, names: list[str], seconds: float) -> None:
        wait_until(f"{names} to be ready", lambda: not self.not_ready(names), seconds=seconds, every_s=0.3)

    def change_everywhere(self, names: list[str]) -> float:
        """A pod in each; how many seconds until the handler had the last of them."""
        self._changes += 1
        name = f"change-{self._changes}"
        offsets = self.pipeline.offsets()
        since_s = time.monotonic()
        for cluster in names:
            self.clusters.servers[cluster].create("pods", pod(name), "default")

        def heard() -> int:
            return sum(
                call["key"] == f"default/{name}" for call in self.pipeline.calls_since(offsets)["every"]
            )

        wait_until("the change of each", lambda: heard() == len(names), seconds=4 * AGE_S_MAX)
        return time.monotonic() - since_s

    def lists(self) -> dict[str, int]:
        return {name.partition("/")[0]: stream["lists"] for name, stream in self.status()["streams"].items()}

    def reason(self, name: str) -> str:
        status = self.status()
        stream, informer = status["streams"].get(f"{name}/pods@*", {}), status["informers"][f"{name}/pods"]
        return " ".join([stream.get("error", ""), stream.get("error_code", ""), informer["why"]])

    def wrong_reasons(self) -> dict[str, str]:
        return {n: said for n in FAILING if not re.search(REASONS[n], said := self.reason(n))}

    def judge_while_failing(self) -> None:
        """The fifteen are well and stay so; the five are named, each with its reason."""
        wait_until("each failing one's reason", lambda: not self.wrong_reasons(), seconds=90, every_s=0.5)
        assert sorted(self.not_ready(FAILING)) == sorted(FAILING)
        before = self.lists()
        for _ in range(3):
            age_s = self.change_everywhere(HEALTHY)
            assert age_s < AGE_S_MAX
            assert self.not_ready(HEALTHY) == []
        self.judge_lister_of_another_cluster()
        assert self.status()["groups"]["across"]["ready"], "a group of the fifteen alone"
        unready = "\n".join(self.status()["unready"])
        assert [name for name in HEALTHY if f"{name}/pods" in unready] == []
        assert [name for name in FAILING if f"{name}/pods" not in unready] == []
        after = self.lists()
        assert {name: after[name] for name in HEALTHY} == {name: before[name] for name in HEALTHY}
        metrics = self.faces.get("/metrics", timeout=5.0)[1]
        for name, is_ready in [*((n, 1) for n in HEALTHY), *((n, 0) for n in FAILING)]:
            line = f'deltawire_informer_ready{{cluster="{name}",resource="pods"}} {is_ready}.0'
            assert line in metrics
        assert self.faces.get("/readyz/core", timeout=5.0)[0] == 200

    def judge_lister_of_another_cluster(self) -> None:
        """It holds that cluster's objects, not those of the same name in the call's own."""
        name = f"change-{self._changes}"
        there = self.clusters.servers[HEALTHY[1]].call(lambda core: core.get("pods", name, "default"))
        file = self.pipeline.folder / "across"
        line = f"{name} {there.uid}"
        wait_until("its line", lambda: file.exists() and line in file.read_text().splitlines(), seconds=60)


@contextmanager
def many(folder: Path) -> Iterator[Many]:
    """Started while the five fail."""
    clusters = Clusters(folder)
    with ExitStack() as stack:
        stack.callback(clusters.close)
        clusters.fail()
        pipeline = Pipeline(
            folder,
            clusters.kubeconfig("refusing"),
            # The first cluster of the config is one of those that fail.
            clusters={name: {"kubeconfig": str(clusters.kubeconfig(name))} for name in [*FAILING, *HEALTHY]},
            metrics={"listen": f"unix:{folder / 'metrics'}"},
            runtime={"reflectors": 1, "workers": 1, "heartbeat": 1},
            store={"dir": str(folder / "state"), "shards": 1},
            handlers=[
                {
                    "name": "every",
                    "command": [sys.executable, str(RECORDER), str(folder / "every.calls")],
                    "on": ["pods"],
                    "clusters": ["*"],
                    "delivery": "every",
                },
                {
                    "name": "across",
                    "run": str(ACROSS),
                    "clusters": ["well-*"],
                    "env": {
                        "ACROSS_FILE": str(folder / "across"),
                        "ACROSS_FROM": HEALTHY[0],
                        "ACROSS_TO": HEALTHY[1],
                    },
                },
            ],
        )
        stack.callback(pipeline.close)
        pipeline.up()
        try:
            yield Many(clusters, pipeline, Faces(folder / "metrics", Plan(load(pipeline.config))))
        except BaseException:
            print(pipeline.log[-8000:])
            raise


def test_five_clusters_that_fail_in_five_ways_disturb_no_other_and_come_back_by_themselves() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text, many(Path(text).resolve()) as up:
        everyone = [*HEALTHY, *FAILING]
        pids: dict[str, int] = {}
        for _ in ("from the start", "while it runs"):
            up.wait_ready(HEALTHY, 120)
            up.judge_while_failing()
            before = up.lists()
            up.clusters.mend()
            up.wait_ready(everyone, 180)
            up.change_everywhere(everyone)
            after = up.lists()
            assert {name: after[name] for name in HEALTHY} == {name: before[name] for name in HEALTHY}
            pids = pids or up.pipeline.pids()
            up.clusters.fail()
        assert up.pipeline.pids() == pids, "nothing was started again"
        assert up.status()["totals"]["restarts"] == 0


def test_clusters_come_and_go_with_the_files_of_a_folder_while_it_runs() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text, ExitStack() as stack:
        folder = Path(text).resolve()
        kubeconfigs = folder / "kubeconfigs"
        kubeconfigs.mkdir()
        servers = {name: stack.enter_context(ApiServer()) for name in ("first", "second")}
        servers["first"].write_kubeconfig(folder / "first.kubeconfig")
        pipeline = Pipeline(
            folder,
            folder / "first.kubeconfig",
            clusters={"first": {"kubeconfig": str(folder / "first.kubeconfig")}},
            kubeconfigs=str(kubeconfigs),
            runtime={"reflectors": 1, "workers": 1, "heartbeat": 1},
            store={"dir": str(folder / "state"), "shards": 1},
            handlers=[
                {
                    "name": "every",
                    "command": [sys.executable, str(RECORDER), str(folder / "every.calls")],
                    "on": ["pods"],
                    "clusters": ["*"],
                    "delivery": "every",
                }
            ],
        )
        stack.callback(pipeline.close)

        def heard(name: str) -> bool:
            return any(
                call["key"] == f"default/{name}"
                for call in pipeline.calls_since({"latest": 0, "every": 0})["every"]
            )

        def clusters() -> set[str]:
            return {name.partition("/")[0] for name in pipeline.status().get("informers", {})}

        try:
            pipeline.up()
            pipeline.wait_synced(60)
            servers["second"].create("pods", pod("there-before"), "default")
            servers["second"].write_kubeconfig(kubeconfigs / "second.yaml")
            wait_until("its object", lambda: heard("there-before"), seconds=60)
            assert clusters() == {"first", "second"}
            pipeline.wait_synced(60)
            (kubeconfigs / "BROKEN.yaml").write_text("no kubeconfig")
            wait_until("the refusal", lambda: "nothing is changed" in pipeline.log, seconds=60)
            assert clusters() == {"first", "second"}
            (kubeconfigs / "BROKEN.yaml").unlink()
            (kubeconfigs / "second.yaml").unlink()
            wait_until("it to go", lambda: clusters() == {"first"}, seconds=60)
            servers["first"].create("pods", pod("still-here"), "default")
            wait_until("the one that stays", lambda: heard("still-here"), seconds=60)
            pipeline.wait_synced(60)
        except BaseException:
            print(pipeline.log[-8000:])
            raise
