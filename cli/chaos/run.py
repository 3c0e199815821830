"""One chaos run from its seed to its verdict: the folder, the processes, the settling, the judges."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from deltawire.cli.chaos import processes
from deltawire.cli.chaos.action_log import ActionLog
from deltawire.cli.chaos.actions import Action
from deltawire.cli.chaos.driver import Driver
from deltawire.cli.chaos.parts import AnyDriver, AnyPipeline
from deltawire.cli.chaos.pipeline import Pipeline
from deltawire.cli.chaos.server import Server, free_port
from deltawire.cli.chaos.shape import LISTER_GROUP, RESOURCES, Places, Shape
from deltawire.common.clock import Clock

OUTSIDE = Path(__file__).with_name("outside")
WRITERS = 2
# With nothing new for so long, what is missing does not come: the longest backoff (30 s, doubled by jitter) and some.
STILL_S = 75.0
LOOK_S = 1.0
JUDGE_S = 300.0
# Violations that are shown and kept.
SHOWN_MAX = 40


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``seed`` decides the schedule and what the writers do. ``hang_after_s`` None: the product's default."""

    seed: int
    for_s: float
    actions: tuple[Action, ...]
    writes_per_s: float = 30.0
    hang_after_s: float | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run. ``violations``: (rule, text), the first of each rule; ``counts``: all of them by rule."""

    seed: int
    for_s: float
    took_s: float
    settled_s: float
    actions: dict[str, int]
    calls: int
    keys: int
    versions: int
    lists: int
    watches: int
    claims: int
    violations: list[tuple[str, str]]
    counts: dict[str, int]


class Run:
    """A run in ``folder``, which must be empty. Everything that it starts has ended when `run` returns or raises."""

    def __init__(self, folder: Path, settings: Settings, clock: Clock, tell: Callable[[str], None]) -> None:
        self._folder, self._settings, self._clock, self._tell = folder, settings, clock, tell
        # The config of a pipeline that can be asked for its readiness as a whole.
        self._probed: Path | None = None
        self._server = Server(folder, clock)
        self._places = Places(
            folder=str(folder),
            kubeconfig=str(self._server.kubeconfig),
            state=str(folder / "state"),
            listen=f"127.0.0.1:{free_port()}",
            recorder=(sys.executable, str(OUTSIDE / "recorder.py")),
            lister_plugin=str(Path(__file__).with_name("lister_plugin.py")),
        )
        self._log = ActionLog(folder / "actions.jsonl", clock, tell)
        self._pipeline, self._driver = self._make()

    def _make(self) -> tuple[AnyPipeline, AnyDriver]:
        """What is hit, and what hits it; nothing runs yet."""
        hang_after_s = self._settings.hang_after_s
        pipeline = Pipeline(self._folder, self._places, self._clock, hang_after_s=hang_after_s)
        self._probed = pipeline.config
        return pipeline, Driver(self._server, pipeline, self._log, self._clock)

    def _prepare(self) -> None:
        """Start what the pipeline needs besides the API server. Raises DeltawireError where it does not come up."""

    def run(self) -> Verdict:
        """Raises DeltawireError where the API server does not come up."""
        began = self._clock.now_s()
        with ExitStack() as stack:
            stack.callback(self._server.stop)
            self._server.start()
            stack.callback(self._driver.leave_nothing)
            stack.callback(self._pipeline.kill_all)
            self._prepare()
            self._driver.use(Shape())
            self._pipeline.up()
            outsiders = self._start_outsiders(stack)
            if self._settings.seed % 2 == 0:
                self._wait_for_calls()
            self._driver.run(self._settings.actions, until_s=self._settings.for_s)
            self._driver.finish()
            for writer in outsiders[:WRITERS]:
                processes.end_group(writer)
            calmed = self._clock.now_s()
            found = self._settle()
            settled_s = self._clock.now_s() - calmed
            code = self._pipeline.drain(lambda: None)
            if code != 0:
                self._driver.complaints.append(("drain", f"the last drain ended with {code}"))
            for outsider in outsiders:
                processes.end_group(outsider)
        judged = [found, *(self._judge(name) for name in ("check_requests", "check_claims", "check_gaps"))]
        return self._verdict(judged, self._clock.now_s() - began, settled_s)

    def _wait_for_calls(self) -> None:
        """Half of the runs begin with a pipeline at work, the others hit it while it starts."""
        deadline = self._clock.now_s() + STILL_S
        names = [group.name for group in self._pipeline.shape.groups]
        while self._clock.now_s() < deadline:
            self._driver.look_after()
            files = [self._folder / f"{name}.calls" for name in names]
            if all(path.exists() and path.stat().st_size for path in files):
                return
            self._clock.sleep(0.05)

    def _start_outsiders(self, stack: ExitStack) -> list["subprocess.Popen[bytes]"]:
        """Writers first, then observer, and prober where there is something to ask."""
        server, folder = self._server, self._folder
        where = ["--url", server.url, "--ca", str(server.ca), "--token", str(server.token)]
        commands: list[tuple[str, Sequence[str]]] = [
            ("writer", [*where, "--seed", f"{self._settings.seed}-{i}", "--out", str(folder / f"writer-{i}.jsonl"),
                        "--rate", str(self._settings.writes_per_s)])
            for i in range(WRITERS)
        ]  # fmt: skip
        files = ["--seen", str(folder / "seen.jsonl"), "--requests", str(folder / "requests.jsonl")]
        commands.append(("observer", [*where, *files]))
        if self._probed is not None:
            cli = str(Path(sys.executable).with_name("deltawire"))
            asked = ["--listen", self._places.listen, "--config", str(self._probed), "--cli", cli]
            files = ["--claims", str(folder / "claims.jsonl"), "--processes", str(folder / "processes.jsonl")]
            commands.append(("prober", [*asked, *files]))
        started = []
        for name, arguments in commands:
            argv = [sys.executable, str(OUTSIDE / f"{name}.py"), *arguments]
            process = processes.start(argv, folder / "outside.log")
            stack.callback(processes.end_group, process)
            started.append(process)
        return started

    def _settle(self) -> dict[str, Any]:
        """Wait until each group has come to the server's state, or nothing has come for long; the last judgement."""
        size, since = -1, self._clock.now_s()
        while True:
            self._driver.look_after()
            found = self._judge("check_keys", "--final")
            if "converge" not in found["counts"] and self._pipeline.is_quiet():
                return found
            now, grown = (
                self._clock.now_s(),
                sum(path.stat().st_size for path in self._folder.glob("*.calls")),
            )
            if grown != size:
                size, since = grown, now
            if now > since + STILL_S:
                if "converge" not in found["counts"]:
                    self._driver.complaints.append(("unready", "all is done, and status never says so"))
                return found
            self._clock.sleep(LOOK_S)

    def _judge(self, name: str, *arguments: str) -> dict[str, Any]:
        """What one of the judges says; they are processes of their own."""
        self._write_run_file()
        done = subprocess.run(
            [sys.executable, str(OUTSIDE / f"{name}.py"), str(self._folder), *arguments],
            capture_output=True, timeout=JUDGE_S, check=False,
        )  # fmt: skip
        try:
            found: dict[str, Any] = msgspec.json.decode(done.stdout)
            return found
        except msgspec.DecodeError:
            words = done.stderr.decode(errors="replace").strip()[-1500:]
            return {"violations": [["judge", f"{name} failed: {words}"]], "counts": {"judge": 1}}

    def _write_run_file(self) -> None:
        """``run.json``: what the judges must know besides the records."""
        groups: dict[str, dict[str, Any]] = {}
        shapes, scopes = self._log.of("shape"), self._log.of("scope")
        for shape in shapes:
            for name, delivery in shape["groups"].items():
                groups.setdefault(name, {"delivery": delivery, "born": shape["at"]})
        now = shapes[-1]["groups"]
        last = scopes[-1]
        run = {
            "seed": self._settings.seed,
            "url": self._server.url, "ca": str(self._server.ca), "token": str(self._server.token),
            "heartbeat_s": self._places.heartbeat_s,
            "groups": {name: {**group, "is_present": name in now} for name, group in groups.items()},
            "scope": {
                resource: {
                    "namespaces": last["namespaces"],
                    "selector": last["selector"] if resource == "configmaps" else "",
                }
                for resource in RESOURCES
            },
            "filtered": ["configmaps"] if any(scope["selector"] for scope in scopes) else [],
            "narrowed": any(scope["namespaces"] for scope in scopes),
            "covered": covered_namespaces([scope["namespaces"] for scope in scopes if scope["namespaces"]]),
            "stops": [[entry["victim"], entry["at"], entry["until"]] for entry in self._log.of("stop")],
            "lister": LISTER_GROUP,
            **self._told_besides(),
        }  # fmt: skip
        (self._folder / "run.json").write_bytes(msgspec.json.format(msgspec.json.encode(run)))

    def _told_besides(self) -> dict[str, Any]:
        """More of ``run.json``, where a kind of run has more for the judges."""
        return {}

    def _verdict(self, judged: list[dict[str, Any]], took_s: float, settled_s: float) -> Verdict:
        """``judged``: what the judges of keys, requests, claims and gaps said."""
        keys, requests, claims, _ = judged
        counts: dict[str, int] = {}
        for found in judged:
            counts |= found["counts"]
        for rule, _ in self._driver.complaints:
            counts[rule] = counts.get(rule, 0) + 1
        violations = [(rule, text) for found in judged for rule, text in found["violations"]]
        return Verdict(
            seed=self._settings.seed,
            for_s=self._settings.for_s,
            took_s=round(took_s, 1),
            settled_s=round(settled_s, 1),
            actions=self._driver.done,
            calls=sum(keys.get("calls", {}).values()),
            keys=keys.get("keys", 0),
            versions=keys.get("versions", 0),
            lists=requests.get("lists", 0),
            watches=requests.get("watches", 0),
            claims=claims.get("claims", 0),
            violations=[*self._driver.complaints, *violations][:SHOWN_MAX],
            counts=counts,
        )


def covered_namespaces(narrowed: list[Sequence[str]]) -> list[str] | None:
    """The namespaces that every narrowed scope covers; None where there is none, and all are covered."""
    if not narrowed:
        return None
    return sorted(set.intersection(*map(set, narrowed)))
