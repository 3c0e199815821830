"""Figures of the whole pipeline beside the official Python informer, in one run.

    python bench/pipeline.py [--seconds 10] [--objects 1000] [--rate 5000]

Prints a Markdown table: events a second to an acknowledged handler call with the object decoded, CPU an event of each
process, latency at 200 events a second, memory of each process (PSS). The source pushes ``--rate`` events a second;
ours keeps up as long as what is pending stays small. At ``--rate 0`` (as fast as it is read) the caches take all there
is, since nothing waits for a handler, and the handler gets what is left of the cores.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SYNC_DEADLINE_S = 60
DELTAWIRE = Path(sys.executable).with_name("deltawire")


@contextmanager
def process(*command, **environment):
    started = subprocess.Popen(
        list(map(str, command)),
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@contextmanager
def source(folder, objects, rate):
    kubeconfig = folder / f"kubeconfig-{time.monotonic_ns()}"
    command = (sys.executable, HERE / "source.py", "--objects", objects, "--rate", rate)
    with process(*command, "--write-kubeconfig", kubeconfig) as started:
        while not kubeconfig.exists():
            time.sleep(0.01)
        yield kubeconfig, started.pid


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def pss_mb(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def report(path):
    while True:
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            time.sleep(0.05)


def measure(out, pids, seconds, warm_up_s):
    """Events/s, CPU µs an event by process name, and the last report, over ``seconds``."""
    report(out)
    time.sleep(warm_up_s)
    first, cpu_before = report(out), {name: cpu_s(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    last, cpu_after = report(out), {name: cpu_s(pid) for name, pid in pids.items()}
    events = last["calls"] - first["calls"]
    per_event = {name: (cpu_after[name] - cpu_before[name]) / max(events, 1) * 1e6 for name in pids}
    return events / (last["at"] - first["at"]), per_event, last


@contextmanager
def ours(folder, kubeconfig):
    run = folder / f"run-{time.monotonic_ns()}"
    run.mkdir()
    config = run / "deltawire.yaml"
    plan = {
        "version": 1,
        "clusters": {"bench": {"kubeconfig": str(kubeconfig)}},
        "store": {"dir": str(run / "state")},
        "runtime": {"reflectors": 1, "workers": 1},
        "informers": [{"resource": "pods", "indexes": {"by-node": ".spec.nodeName"}}],
        "handlers": [{"name": "counting", "run": str(HERE / "counting.py"), "delivery": "every"}],
    }
    config.write_text(json.dumps(plan))
    out = run / "out.json"
    with process(DELTAWIRE, "up", "-c", config, BENCH_OUT=str(out)):
        deadline = time.monotonic() + SYNC_DEADLINE_S
        while True:
            assert time.monotonic() < deadline, "the pipeline did not sync"
            time.sleep(0.2)
            status = status_of(config)
            if status.get("synced"):
                break
        yield out, {name: p["pid"] for name, p in status["processes"].items()}, config


def status_of(config):
    """``status --json``; {} while nobody answers."""
    command = [DELTAWIRE, "status", "-c", config, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=5000)
    options = parser.parse_args()
    # So that what was started is stopped, too, when this is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="dw-bench-") as name:
        folder = Path(name)
        with (
            source(folder, options.objects, options.rate) as (kubeconfig, _),
            ours(folder, kubeconfig) as found,
        ):
            out, pids, config = found
            rate, per_event, _ = measure(out, pids, options.seconds, 3)
            pending = status_of(config)["groups"]["counting"]["pending"]
        with (
            source(folder, options.objects, 200) as (kubeconfig, _),
            ours(folder, kubeconfig) as (out, pids, _),
        ):
            _, _, slow = measure(out, pids, options.seconds, 3)
            memory = {name: pss_mb(pid) for name, pid in pids.items()}
        with source(folder, options.objects, options.rate) as (kubeconfig, _):
            out = folder / "official.json"
            with process(sys.executable, HERE / "official.py", kubeconfig, BENCH_OUT=str(out)) as official:
                other, other_cpu, _ = measure(out, {"official": official.pid}, options.seconds, 3)
    total = sum(per_event.values())
    print("| figure | deltawire | official informer | ratio |\n| --- | --- | --- | --- |")
    print(f"| pending at the end | {pending:,} | | |")
    print(f"| events/s | {rate:,.0f} | {other:,.0f} | {rate / other:.1f} × |")
    print(
        f"| CPU µs an event | {total:.0f} | {other_cpu['official']:.0f} | {total / other_cpu['official']:.2f} × |"
    )
    print(f"| latency at 200/s, p50 / p99 ms | {slow['p50_ms']:.2f} / {slow['p99_ms']:.2f} | | |")
    print("\n| process | CPU µs an event | PSS MB at 200/s |\n| --- | --- | --- |")
    for process_name in pids:
        print(f"| {process_name} | {per_event.get(process_name, 0):.1f} | {memory[process_name]:.1f} |")


if __name__ == "__main__":
    main()
