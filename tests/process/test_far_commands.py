"""Commands and handlers on another host than the core: two folders that share nothing but the list of keys."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube.models.core_v1 import Pod

from deltawire import Clientset, SharedInformerFactory
from deltawire.cli import keys as commands
from deltawire.client.config.loading import load
from deltawire.common.errors import ConfigError, StatusError
from deltawire.common.wire.keys import ALLOWED, KeyFolder
from deltawire.factory import AttachedInformerFactory
from tests.support.cli_rig import Cli, Ended
from tests.support.informer_rig import Recorder
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
        config: dict[str, Any] = {
            "version": 1,
            "runtime": {"heartbeat": 1},
            "network": {"keys": "keys", "endpoints": {n: f"127.0.0.1:{port}" for n, port in ports.items()}},
            "informers": [{"resource": "pods", "indexes": {"by-node": ".spec.nodeName"}}, {"resource": "nodes"}],
            "handlers": [{"name": "seen", "command": ["cat"], "on": ["nodes"], "replicas": 0}],
        }
        # For this process, which has other environment variables than the commands.
        config["runtime"] |= {"dir": str(self.here.folder / "run")}
        self.config = self.here.folder / "deltawire.yaml"
        config["store"] = {"dir": str(self.here.folder / "state")}
        self.config.write_text(yaml.safe_dump(config))
        self.up = self.start()

    def start(self) -> "subprocess.Popen[str]":
        return self.here.start("up", "--embedded", "--objects", "pods=300", "--churn", "0")

    def far(self, *arguments: str, key: str = "cli") -> Ended:
        return self.away.run(*arguments, "--core", self.core, "--key", f"keys/{key}.secret")

    def delete(self, key: str) -> None:
        """An object of the embedded API server; the caches know of it afterwards."""
        namespace, _, name = key.partition("/")
        kubeconfig = next(self.here.folder.glob("**/embedded.kubeconfig"))
        with Clientset.from_config(load(kubeconfig=str(kubeconfig))) as clientset:
            clientset.core_v1().pods(namespace).delete(name, grace_period_s=0)
        wait_until(lambda: self.here.run("get", "pods", name, "-n", namespace).code == 1, "the deletion", seconds=60)

    def wait_ready(self) -> None:
        def is_ready() -> bool:
            done = self.here.run("status", "--json")
            return done.code == 0 and json.loads(done.out)["ready"]

        wait_until(is_ready, "the core to be ready", seconds=90, every_s=1.0)


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


@pytest.mark.long
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


def attached(hosts: Hosts, where: str, **more: Any) -> AttachedInformerFactory:
    if where == "here":
        return SharedInformerFactory.attach(config=hosts.config, **more)
    key = hosts.away.folder / "keys" / ("handler.far.secret" if more.get("name") else "reader.ann.secret")
    return SharedInformerFactory.attach(core=hosts.core, key=key, **more)


@pytest.mark.parametrize("where", ["here", "away"])
def test_a_program_attached_to_a_pipeline_reads_its_caches_and_watches_nothing(hosts: Hosts, where: str) -> None:
    factory, stop = attached(hosts, where), threading.Event()
    pods = factory.core().v1().pods()
    informer, lister = pods.informer(), pods.lister()
    with pytest.raises(ConfigError, match="give it a name"):
        informer.add_event_handler(on_add=print)
    factory.start(stop)
    try:
        assert factory.wait_for_cache_sync(stop, 60) == {Pod: True}
        assert len(lister.list()) == 300
        some = lister.list("app")[0]
        assert lister.pods(some.metadata.namespace).get(some.metadata.name) == some
        found = informer.get_indexer().by_index("by-node", "node-3")
        assert found
        assert {pod.spec.nodeName for pod in found} == {"node-3"}
        with pytest.raises(StatusError):
            lister.pods("default").get("none")
        assert lister.freshness().is_fresh
    finally:
        stop.set()
        assert factory.shutdown(30)


@pytest.mark.parametrize("where", [pytest.param("here", marks=pytest.mark.long), "away"])
def test_handlers_of_an_attached_informer_see_all_that_is_there_at_each_start_and_what_was_deleted_meanwhile(
    hosts: Hosts, where: str
) -> None:
    def run(until: Callable[[Recorder], bool], late: Recorder | None = None) -> Recorder:
        factory, stop, told = attached(hosts, where, name="far"), threading.Event(), Recorder()
        informer = factory.informer_for(Pod)
        registration = informer.add_event_handler(told)
        factory.start(stop)
        try:
            wait_until(registration.has_synced, factory.status, seconds=60)
            if late is not None:
                other = informer.add_event_handler(late)
                wait_until(other.has_synced, factory.status, seconds=60)
            wait_until(lambda: until(told), lambda: (factory.status(), told.told[-3:]), seconds=60)
        finally:
            stop.set()
            assert factory.shutdown(30)
        return told

    late = Recorder()
    first = run(lambda told: len(told.cache) >= 299, late)
    assert first.faults == late.faults == []
    assert set(late.cache) == set(first.cache)
    gone = sorted(first.cache)[0]
    hosts.delete(gone)
    again = run(lambda told: ("delete", gone, "unknown") in told.told)
    assert again.faults == [f"{gone} was deleted and never added"]
    assert set(again.cache) == set(first.cache) - {gone}


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

    def is_fresh_again() -> bool:
        words = err.read_text()
        return words.rstrip().endswith("fresh") or "read again" in words

    wait_until(is_fresh_again, lambda: err.read_text()[-2000:], seconds=60)
    assert process.poll() is None
