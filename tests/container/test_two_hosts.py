"""Core and handlers in containers that share a network and nothing else, over TCP with keys; the outside judge.

One project lives through all tests, in their order. Run by deploy/container-test.sh; not part of `make test`.
"""

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deltawire.cli.keys import make, owners_of
from deltawire.cli.manifest import configs
from deltawire.cli.manifest.shape import Shape
from deltawire.cli.manifest.sizes import Size
from deltawire.cli.manifest.text import config_text
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.wire.keys import ALLOWED, KeyFolder
from tests.container.stack import RECORDERS, Stack, docker, running, wait_until

pytestmark = pytest.mark.timeout(420)

USER_ID = int(os.environ.get("DELTAWIRE_UID", "1000"))
# Says hello as handler `latest` without a key, and prints how many bytes came back.
STRANGER = """
import zmq
from deltawire.common.wire.codec import encode, pack, plain
socket = zmq.Context().socket(zmq.DEALER)
socket.setsockopt(zmq.IDENTITY, b"latest-x.12345678")
socket.connect("tcp://core.wire.svc:7410")
body = {"group": "latest", "informers": ["main/pods"]}
socket.send(pack(0, 0, encode(plain("hello", "handler", "latest-x", "12345678", 1, 1, "", body))))
print("bytes:", len(socket.recv()) if socket.poll(3000) else 0)
"""


class TwoHosts(Stack):
    """``asked`` is the core."""

    files = ("tests/container/compose.two_hosts.yaml",)
    project = "deltawire-two-hosts"
    asked = "core"

    def write_configs(self, config: dict[str, Any]) -> None:
        """The files of each container: its config, the list of keys, and its own secrets."""
        handlers = [h for h in config["handlers"] if h["name"] in RECORDERS]
        runtime = {"workers": 2, "reflectors": 1, "heartbeat": 1}
        plan = Plan(parse(config | {"handlers": handlers, "runtime": runtime, "metrics": {}}))
        shape = Shape("core", "wire", "deltawire", Size())
        keys = KeyFolder(self.folder / "all-keys")
        owners = list(owners_of(plan))
        make(keys, owners)
        core = [owner for owner in owners if not owner.startswith("handler/")]
        self._write("core", configs.core(plan, shape), keys, core)
        for name in RECORDERS:
            self._write(name, configs.handler(plan, shape, name), keys, [f"handler/{name}"])

    def _write(self, service: str, config: Any, keys: KeyFolder, owners: list[str]) -> None:
        here = self.folder / service
        (here / "keys").mkdir(parents=True)
        (here / "deltawire.yaml").write_text(config_text(config))
        (here / "deltawire.yaml").chmod(0o644)
        for path in (keys.folder / ALLOWED, *map(keys.secret_path, owners)):
            shutil.copy(path, here / "keys")
            (here / "keys" / path.name).chmod(0o400)
            os.chown(here / "keys" / path.name, USER_ID, USER_ID)


@pytest.fixture(scope="module")
def stack() -> Iterator[TwoHosts]:
    with running(TwoHosts) as made:
        yield made


def acknowledged(stack: TwoHosts) -> int:
    found: int = stack.status().get("totals", {}).get("acknowledged") or 0
    return found


def wait_ready(stack: TwoHosts) -> None:
    wait_until("all to be ready", lambda: stack.status().get("ready"), seconds=60)


def flows_and_is_judged(stack: TwoHosts) -> None:
    """Both handlers get more, and the judge is content with all that they got."""
    wait_ready(stack)
    before = acknowledged(stack)
    wait_until("200 more events", lambda: acknowledged(stack) >= before + 200, seconds=60)
    stack.settle_and_judge()


def test_events_flow_between_hosts(stack: TwoHosts) -> None:
    stack.compose("up", "-d", "--no-build")
    flows_and_is_judged(stack)
    said = stack.compose("exec", "-T", "latest", "sh", "-c", "ls /var/lib/deltawire /run/deltawire")
    assert "mdb" not in said


def test_a_stranger_on_the_same_network_gets_no_byte(stack: TwoHosts) -> None:
    network = f"{stack.project}_wire"
    said = docker("run", "--rm", "--network", network, "--entrypoint", "python3", "deltawire", "-c", STRANGER)
    assert said.strip() == "bytes: 0"


@pytest.mark.parametrize("service", ["latest", "every", "core"])
def test_a_killed_host_comes_back_and_nothing_is_lost(stack: TwoHosts, service: str) -> None:
    docker("kill", stack.containers()[service]["Id"])
    time.sleep(2)  # events pass by meanwhile: the point of the test
    stack.compose("up", "-d", "--no-build")
    flows_and_is_judged(stack)


def test_a_host_that_loses_its_network_for_a_while_loses_no_event(stack: TwoHosts) -> None:
    container = stack.containers()["every"]["Id"]
    docker("network", "disconnect", f"{stack.project}_wire", container)
    time.sleep(8)  # longer than the three heartbeats after which it is gone
    docker("network", "connect", f"{stack.project}_wire", container)
    flows_and_is_judged(stack)
