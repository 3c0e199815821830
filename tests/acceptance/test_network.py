"""A pipeline whose processes talk over TCP with keys: kills, keys that change, paths that fail, a handler elsewhere.

The outside judge is content each time. The paths go through a proxy of the test's own.
"""

import json
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from deltawire.cli import keys as commands
from deltawire.cli.config_source import plan_of
from deltawire.common.wire.keys import ALLOWED, KeyFolder
from tests.acceptance.test_kills import restarted, settle_and_judge
from tests.support.keyed import free_port
from tests.support.pipeline import DELTAWIRE, running, wait_until
from tests.support.tcp_proxy import TcpProxy

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("network"),
]
SERVER = ("--objects", "pods=200", "--churn", "60/s")
SOCKETS = ("fifo-in", "fifo-out", "worker-0", "worker-1", "control")
OWNERS = (
    "control",
    "fifo",
    "reflector-0",
    "reflector-1",
    "worker-0",
    "worker-1",
    "handler/latest",
    "handler/every",
)


def network(folder: Path, host: str = "127.0.0.1", listen: str = "") -> dict[str, object]:
    """A section with free ports, and keys for all that the pipeline starts."""
    commands.make(KeyFolder(folder / "keys"), [*OWNERS, "cli"])
    endpoints = {socket: f"{host}:{free_port()}" for socket in SOCKETS}
    return {"keys": str(folder / "keys"), "endpoints": endpoints, "listen": listen}


def port_of(section, socket):
    return int(section["endpoints"][socket].rpartition(":")[2])


def test_over_tcp_with_keys_each_single_kill_loses_nothing(tmp_path):
    with running(tmp_path, *SERVER, network=network(tmp_path)) as (server, pipeline):
        pipeline.wait_synced()
        lists = len(server.reflectors_lists())
        for name in ("reflector-0", "fifo", "worker-0", "latest-0", "every-0"):
            restarted(pipeline, name, pipeline.kill_9(name))
        assert len(server.reflectors_lists()) == lists, "a kill of one process must not list"
        settle_and_judge(server, pipeline)
        assert pipeline.down() == 0


def test_every_key_is_rotated_under_churn_and_no_process_restarts(tmp_path):
    with running(tmp_path, *SERVER, network=network(tmp_path)) as (server, pipeline):
        pipeline.wait_synced()
        before = pipeline.pids()
        lists = len(server.reflectors_lists())
        folder = KeyFolder(tmp_path / "keys")
        for owner in OWNERS:
            _, former = commands.rotate(folder, owner)
            for entry in former:
                commands.revoke(folder, entry.key)
            # Both ends look at the files each second; the next rotation comes when this one is over.
            time.sleep(2)
            pipeline.wait_synced(60)
        settle_and_judge(server, pipeline)
        assert pipeline.pids() == before
        assert len(server.reflectors_lists()) == lists
        assert pipeline.down() == 0


@pytest.mark.parametrize("how", ["hold", "half", "cut"])
def test_a_path_between_two_roles_fails_and_comes_back_and_nothing_is_lost(tmp_path, how):
    section = network(tmp_path, "127.0.0.2", "127.0.0.1")
    with (
        TcpProxy([port_of(section, socket) for socket in SOCKETS]) as proxy,
        running(tmp_path, *SERVER, network=section) as (server, pipeline),
    ):
        pipeline.wait_synced()
        lists = len(server.reflectors_lists())
        worst_s = 0.0
        for socket in SOCKETS:
            port = port_of(section, socket)
            began_s = time.monotonic()
            if how == "hold":
                proxy.hold(port)
                # Longer than the three heartbeats after which a peer is gone.
                time.sleep(5)
                proxy.hold(port, held=False)
                began_s = time.monotonic()
            else:
                getattr(proxy, how)(port)
            offsets = pipeline.offsets()
            wait_until(
                f"calls after the fault of {socket}",
                lambda: all(pipeline.calls_since(offsets).values()),  # noqa: B023  # at once
                seconds=60,
            )
            pipeline.wait_synced(60)
            worst_s = max(worst_s, time.monotonic() - began_s)
        print(f"{how}: the slowest recovery took {worst_s:.1f} s")
        assert len(server.reflectors_lists()) == lists
        settle_and_judge(server, pipeline)
        assert pipeline.down() == 0


READER = """
import json

from deltawire import Context, Event, Handler

handler = Handler(name="remote")


@handler.on_update("pods")
def updated(old, new, ctx):
    pods = ctx.lister("pods")
    found = pods.get(new["metadata"]["namespace"], new["metadata"]["name"])
    line = {"name": new["metadata"]["name"], "found": found is not None, "count": len(pods.list())}
    with open(OUT, "a") as file:
        file.write(json.dumps(line) + "\\n")
"""


def test_a_handler_on_another_host_needs_the_list_of_keys_its_own_secret_and_no_files_of_the_store(tmp_path):
    section = network(tmp_path)
    folder = KeyFolder(tmp_path / "keys")
    commands.make(folder, ["handler/remote"], ["dev/pods"])
    away = tmp_path / "away"
    (away / "keys").mkdir(parents=True)
    (away / "keys" / ALLOWED).write_bytes((folder.folder / ALLOWED).read_bytes())
    secret = folder.secret_path("handler/remote")
    secret.rename(away / "keys" / secret.name)
    out = away / "calls"
    (away / "remote.py").write_text(READER.replace("OUT", repr(str(out))))
    with running(tmp_path, *SERVER, network=section) as (server, pipeline):
        pipeline.wait_synced()
        shards = plan_of(pipeline.config).shards
        config = {
            "version": 1,
            "clusters": {"dev": {"kubeconfig": str(pipeline.kubeconfig)}},
            "store": {"dir": str(away / "state"), "shards": shards},
            "runtime": {"workers": 2, "heartbeat": 1, "dir": str(away / "run"), "control": True},
            "network": section | {"keys": str(away / "keys")},
            "handlers": [{"name": "remote", "run": str(away / "remote.py")}],
        }
        (away / "deltawire.yaml").write_text(yaml.safe_dump(config))
        process = subprocess.Popen(
            [str(DELTAWIRE), "handler", "remote", "-c", str(away / "deltawire.yaml")], cwd=away
        )
        try:
            wait_until("calls elsewhere", lambda: out.exists() or process.poll() is not None, seconds=60)
            lines = out.read_text().splitlines()
            call = json.loads(lines[0])
            assert call["found"]
            assert call["count"] >= 150
            assert not (away / "state").exists() or not list((away / "state").rglob("*.mdb"))
            command = [str(DELTAWIRE), "status", "-c", str(away / "deltawire.yaml")]
            refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert refused.returncode == 2, "a command needs a key of its own"
            assert "deltawire keys new cli" in refused.stderr
            (away / "keys" / "cli.secret").write_bytes((folder.folder / "cli.secret").read_bytes())
            (away / "keys" / "cli.secret").chmod(0o600)
            shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert shown.returncode == 0, shown.stdout + shown.stderr
            assert "reflector-0" in shown.stdout
            pipeline.kill_9("worker-0")
            pipeline.wait_synced()
            seen = len(out.read_text().splitlines())
            wait_until(
                "calls after a kill", lambda: len(out.read_text().splitlines()) > seen + 20, seconds=60
            )
        finally:
            process.terminate()
            assert process.wait(30) == 0
        settle_and_judge(server, pipeline)
        assert pipeline.down() == 0
