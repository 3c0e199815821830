"""What every benchmark needs: processes, their CPU and memory, the source, the records of who handled what when."""

import http.client
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
RECORD = struct.Struct("<qq")
END_DEADLINE_S = 30
BURST_DEADLINE_S = 120
START_DEADLINE_S = 120
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
REST = -1.0
FULL = 0.0


class BenchError(Exception):
    """A run that came to nothing; its text says what was waited for."""


@contextmanager
def process(command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """The process' id. It is in a session of its own, whose every member is gone at the end."""
    with log.open("ab") as out:
        started = subprocess.Popen(
            command,
            env=os.environ | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a process, in ns steps (/proc counts in 10 ms); 0 where it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def memory_kb(pid: int) -> dict[str, int]:
    """A process' share of its memory in KiB by kind: ``Pss``, ``Pss_Anon`` (without files), …; {} where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {line.split()[0].rstrip(":"): int(line.split()[1]) for line in lines}


def family(pid: int) -> list[int]:
    """A process and all that descend from it, as of now."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*"):
            with suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def family_cpu_s(pid: int) -> float:
    """CPU seconds of a process, its descendants, and those of them that ended and were waited for."""
    used = 0.0
    for member in family(pid):
        used += cpu_s(member)
        with suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            used += (int(fields[13]) + int(fields[14])) / TICKS_PER_S
    return used


class Source:
    """The running source: its kubeconfig, its rate."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.url = json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]

    def ask(self, query: str = "") -> dict[str, float]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request("POST" if query else "GET", f"/bench{query}")
            said: dict[str, float] = json.loads(connection.getresponse().read())
            return said
        finally:
            connection.close()

    def set_rate(self, rate_per_s: float) -> None:
        """Updates a second; ``FULL``: as fast as they are read; ``REST``: none."""
        self.ask(f"?rate={rate_per_s}")


@contextmanager
def source(folder: Path, objects: int) -> Iterator[Source]:
    """A source at rest."""
    kubeconfig = folder / f"kubeconfig-{time.monotonic_ns()}"
    command = [sys.executable, str(HERE / "source.py"), "--objects", str(objects), "--rate", str(REST)]
    with process([*command, "--write-kubeconfig", str(kubeconfig)], folder / "source.log"):
        wait_until(kubeconfig.exists, START_DEADLINE_S, "the source did not start")
        yield Source(kubeconfig)


def wait_until(condition: Callable[[], bool], deadline_s: float, failure: str) -> None:
    """Ask ``condition()`` until it is true."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(failure)
        time.sleep(0.01)


@dataclass(frozen=True)
class Records:
    """What a contender's user function wrote: for each call the object's stamp and the moment of the call, µs."""

    path: Path

    def count(self) -> int:
        return self.path.stat().st_size // RECORD.size if self.path.exists() else 0

    def read(self, first: int, last: int) -> list[tuple[int, int]]:
        with self.path.open("rb") as file:
            file.seek(first * RECORD.size)
            return list(RECORD.iter_unpack(file.read((last - first) * RECORD.size)))

    def wait_for(self, count: int, deadline_s: float, what: str) -> None:
        def there() -> bool:
            return self.count() >= count

        try:
            wait_until(there, deadline_s, "")
        except BenchError:
            raise BenchError(f"{what}: {self.count():,} of {count:,} calls in {deadline_s:g} s") from None

    def wait_quiet(self, deadline_s: float) -> None:
        """Until nothing was written for a second, or the time is over."""
        deadline, last, since = time.monotonic() + deadline_s, self.count(), time.monotonic()
        while time.monotonic() < min(deadline, since + 1):
            time.sleep(0.05)
            if (count := self.count()) != last:
                last, since = count, time.monotonic()


def ages_ms(records: list[tuple[int, int]]) -> dict[str, float]:
    """p50, p99 and the greatest age of the objects when they were handled."""
    ages = sorted(called - sent for sent, called in records)
    if not ages:
        return {}
    return {
        "p50_ms": round(ages[len(ages) // 2] / 1000, 3),
        "p99_ms": round(ages[min(int(len(ages) * 0.99), len(ages) - 1)] / 1000, 3),
        "max_ms": round(ages[-1] / 1000, 3),
    }


@dataclass(frozen=True)
class Window:
    """What happened in a span of time."""

    seconds: float
    events: int
    cpu_s: dict[str, float]
    ages: dict[str, float]

    def cpu_us_an_event(self) -> dict[str, float]:
        return {role: used / max(self.events, 1) * 1e6 for role, used in self.cpu_s.items()}

    def row(self) -> dict[str, object]:
        """For the results: figures of one line."""
        used = sum(self.cpu_s.values())
        return {
            "events_per_s": round(self.events / self.seconds, 1),
            "cpu_us": round(used / max(self.events, 1) * 1e6, 1),
            "cpu_percent": round(used / self.seconds * 100, 2),
            "cpu_us_by_role": {role: round(us, 1) for role, us in self.cpu_us_an_event().items()},
            **self.ages,
        }


def window(records: Records, pids: dict[str, list[int]], seconds: float) -> Window:
    """Watch for ``seconds``: calls, their ages, and the CPU of the processes of each role."""
    return measured(records, pids, lambda: time.sleep(seconds))


def burst(feed: Source, records: Records, pids: dict[str, list[int]], seconds: float) -> Window:
    """The source at full speed for ``seconds``, and all that it sent: until the last of it is handled.

    What is read and stored at full speed and handled later has cost already: a window of time would charge that to
    the events that it saw handled. Raises BenchError where not all is handled in `BURST_DEADLINE_S`.
    """
    first, sent_before = records.count(), feed.ask()["sent_ever"]

    def until_handled() -> None:
        feed.set_rate(FULL)
        time.sleep(seconds)
        feed.set_rate(REST)
        sent = int(feed.ask()["sent_ever"] - sent_before)
        records.wait_for(first + sent, BURST_DEADLINE_S, "what a burst sent")

    return measured(records, pids, until_handled)


def measured(records: Records, pids: dict[str, list[int]], act: Callable[[], None]) -> Window:
    """What happens while ``act`` is called."""

    def used() -> dict[str, float]:
        gone = [role for role, found in pids.items() if not all(map(cpu_s, found))]
        if gone:
            raise BenchError(f"ended meanwhile: {', '.join(gone)}")
        return {role: sum(map(cpu_s, found)) for role, found in pids.items()}

    began, first, before = time.monotonic(), records.count(), used()
    act()
    took, last, after = time.monotonic() - began, records.count(), used()
    spent = {role: after[role] - before[role] for role in pids}
    return Window(took, last - first, spent, ages_ms(records.read(first, last)))
