"""Commands and handlers on another host than the core: two folders that share nothing but the list of keys."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deltawire.cli import keys as commands
from deltawire.common.wire.keys import ALLOWED, KeyFolder
from tests.support.cli_rig import Cli, Ended
from tests.support.keyed import free_port
from tests.support.patience import wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300), pytest.mark.xdist_group("far")]

OWNERS = ("control", "fifo", "reflector-0", "worker-0", "worker-1", "handler/seen", "cli")
READER, PODS = "reader/ann", "embedded/pods"
PLUGIN = """
from deltawire import Handler

handler = Handler("{name}")


@handler.on_add("pods")
def added(obj, ctx):
    with open({out!r}, "a") as file:
        print(obj["metadata"]["name"], len(ctx.lister("pods").list()), file=file)
"""


class Hosts:
    """``here`` runs the core, ``away`` has the list of keys and three secrets."""

    def __init__(self, folder: Path) -> None:
        self.here, self.away = Cli(folder / "here"), Cli(folder / "away")
        for host in (self.here, self.away):
            host.folder.mkdir()
        keys = KeyFolder(self.here.folder / "keys")
        commands.make(keys, OWNERS)
        commands.make(keys, [READER, "handler/far"], [PODS])
        there = self.away.folder / "keys"
        there.mkdir()
        shutil.copy(keys.folder / ALLOWED, there)
        for owner in (READER, "handler/far", "cli"):
            shutil.copy(keys.secret_path(owner), there)
        ports = {name: free_port() for name in ("fifo-in", "fifo-out", "worker-0", "worker-1", "control")}
        self.core = f"127.0.0.1:{ports['control']}"
        config = {
            "version": 1,
            "runtime": {"heartbeat": 1},
            "network": {"keys": "keys", "endpoints": {n: f"127.0.0.1:{port}" for n, port in ports.items()}},
            "informers": [{"resource": "pods", "indexes": {"by-node": ".spec.nodeName"}}, {"resource": "nodes"}],
            "handlers": [{"name": "seen", "command": ["cat"], "on": ["nodes"], "replicas": 0}],
        }
        (self.here.folder / "deltawire.yaml").write_text(yaml.safe_dump(config))
        self.up = self.start()

    def start(self) -> "subprocess.Popen[str]":
        return self.here.start("up", "--embedded", "--objects", "pods=300", "--churn", "0")

    def far(self, *arguments: str, key: str = "cli") -> Ended:
        return self.away.run(*arguments, "--core", self.core, "--key", f"keys/{key}.secret")

    def wait_ready(self) -> None:
        def is_ready() -> bool:
            done = self.here.run("status", "--json")
            return done.code == 0 and json.loads(done.out)["ready"]

        wait_until(is_ready, "the core to be ready", seconds=90, every_s=0.3)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    try:
        made.wait_ready()
        yield made
    finally:
        made.away.stop()
        made.here.stop()


def test_from_another_host_get_prints_byte_for_byte_what_it_prints_on_the_cores_own(hosts: Hosts) -> None:
    name = hosts.here.run("get", "pods", "-A", "-o", "jsonpath={.items[7].metadata.name}").out
    for arguments in (
        ("get", "pods", "-A", "-o", "json"),
        ("get", "po", "-A", "-o", "name", "-l", "app", "--field-selector", "status.phase=Running"),
        ("get", "pods", "-A", "-o", "yaml", "--index", "by-node=node-3"),
        ("get", "pods", name, "-n", "shop", "-o", "yaml"),
        ("get", "pods", "--index", "by-colour=red"),
        ("get", "nothing"),
    ):
        here, there = hosts.here.run(*arguments), hosts.far(*arguments)
        assert (there.out, there.code) == (here.out, here.code), arguments
        if here.code:
            assert there.err.splitlines()[-1].endswith(here.err.splitlines()[-1].removeprefix("deltawire: "))
    assert not list(hosts.away.folder.glob("**/*.mdb"))


def test_the_other_commands_say_the_same_from_another_host(hosts: Hosts) -> None:
    for arguments in (("handlers", "list"), ("dead-letters", "list")):
        here, there = hosts.here.run(*arguments), hosts.far(*arguments)
        assert (there.out, there.code) == (here.out, here.code), arguments
    assert "worker-1" in hosts.far("status").out
    traced = hosts.far("trace", "nodes/node-3").out
    assert "cache        version" in traced
    assert "API server   not asked from here" in traced


def test_a_readers_key_is_good_for_looking_at_its_informers_and_for_nothing_else(hosts: Hosts) -> None:
    seen = hosts.far("get", "pods", "-A", "-o", "name", key="reader.ann")
    assert seen.code == 0
    assert "fresh" in seen.err
    assert len(seen.out.splitlines()) == 300
    refused = hosts.far("get", "nodes", key="reader.ann")
    assert (refused.code, refused.out) == (2, "")
    assert "cached: pods" in refused.err
    assert "nodes" not in hosts.far("status", key="reader.ann").out
    letters = hosts.far("dead-letters", "list", key="reader.ann")
    assert (letters.code != 0, letters.out) == (True, "")
    assert "may not ask for 'dead-letters': use a key of cli" in letters.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", "pods", "--core", "{core}"), "lets nobody in without a key (name yours with --key FILE)"),
        (("get", "pods", "--core", "{core}", "--key", "keys/handler.far.secret"), "is a key of handler/far"),
        (("get", "pods", "--key", "keys/cli.secret"), "say --core HOST:PORT, too"),
        (("get", "pods", "--core", "core:7400"), "core:7400 is on another host, and no key is named"),
        (("status", "--core", "127.0.0.1:1", "--key", "keys/cli.secret"), "nobody answers at 127.0.0.1:1"),
        (("handler", "far", "--core", "{core}", "--key", "keys/cli.secret"), "keys/cli.secret is a key of cli"),
        (("handler", "far", "--core", "{core}", "--key", "keys/handler.far.secret"), "say --run FILE.py"),
    ],
)
def test_what_is_missing_for_another_host_is_said_in_one_line(
    hosts: Hosts, arguments: tuple[str, ...], says: str
) -> None:
    done = hosts.away.run(*(argument.format(core=hosts.core) for argument in arguments))
    assert done.code != 0
    assert says in done.err
    assert len(done.err.splitlines()) == 1


def test_a_handler_elsewhere_needs_its_code_its_key_and_an_address(hosts: Hosts) -> None:
    out = hosts.away.folder / "calls"
    (hosts.away.folder / "far.py").write_text(PLUGIN.format(name="far", out=str(out)))
    arguments = ("--core", hosts.core, "--key", "keys/handler.far.secret", "--run", "far.py")
    process = hosts.away.start("handler", "far", *arguments)
    wait_until(lambda: out.exists() and len(out.read_text().splitlines()) == 300, "all pods", seconds=60)
    assert {line.split()[1] for line in out.read_text().splitlines()} == {"300"}
    process.terminate()
    assert process.wait(30) == 0
    plugin = PLUGIN.format(name="far", out=str(out)).replace('"pods")\ndef', '"nodes")\ndef')
    (hosts.away.folder / "far.py").write_text(plugin)
    refused = hosts.away.run("handler", "far", *arguments)
    assert refused.code == 2
    assert "far watches embedded/nodes, which the core does not cache for it" in refused.err


@pytest.mark.long
def test_tail_goes_on_over_a_restart_of_the_core_and_says_so(hosts: Hosts) -> None:
    out, err = (hosts.away.folder / name for name in ("tail.out", "tail.err"))
    process = hosts.away.start(
        "tail", "pods", "--core", hosts.core, "--key", "keys/reader.ann.secret", out=out, err=err
    )
    wait_until(lambda: "fresh" in err.read_text(), "tail to begin", seconds=60)
    hosts.up.terminate()
    hosts.up.wait(60)
    wait_until(lambda: "unknown: nobody answers" in err.read_text(), "the outage to be said", seconds=60)
    hosts.up = hosts.start()
    # The embedded server is another cluster at each start: what was there is gone, and 300 pods are new.
    wait_until(lambda: out.read_text().count("\n+ ") >= 250, lambda: err.read_text()[-2000:], seconds=120)
    assert err.read_text().rstrip().splitlines()[-1].endswith("fresh") or "read again" in err.read_text()
    assert process.poll() is None
