"""The reflector as the process it is: killed at any moment it resumes; asked to end it ends."""

import os
import signal
import subprocess
import sys

import msgspec
import pytest

import deltawire
from deltawire.common.config.schema import Cluster
from deltawire.reflector.main import connect_cluster
from tests.support.reflector_rig import PODS, Rig
from tests.support.watch_answers import (
    ANSWERS,
    create_one_of_each,
    expected_lists,
    give_answers,
    lists_of,
)

pytestmark = pytest.mark.process


class ProcessRig(Rig):
    """As Rig, with the reflector as ``python -m deltawire.reflector``."""

    process = None

    def start_reflector(self):
        folder = self.plan.runtime_dir
        kubeconfig = self.server.write_kubeconfig(folder / "kubeconfig")
        clusters = {"default": {"kubeconfig": str(kubeconfig)}}
        config = msgspec.to_builtins(self.plan.config) | {"clusters": clusters}
        file = folder / "effective.json"
        file.write_bytes(msgspec.json.encode(config))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deltawire.reflector", "--config", str(file), "--index", "0"],
            stderr=subprocess.PIPE,
        )

    def stop_reflector(self):
        self.end(signal.SIGTERM)

    def end(self, sign):
        """Its exit code and what it wrote."""
        os.kill(self.process.pid, sign)
        _, written = self.process.communicate(timeout=60)
        return self.process.returncode, written.decode()


@pytest.fixture
def rig(api_server_factory):
    with ProcessRig(api_server_factory) as made:
        made.create("first")
        made.broker.until(lambda: made.broker.of("end"))
        yield made


def test_a_killed_reflector_resumes_with_one_watch_and_no_list(rig):
    accepted = rig.broker.accepted[PODS, "*"]
    rig.end(signal.SIGKILL)
    rig.server.requests.clear()
    rig.create("second")
    rig.delete("first")
    rig.start_reflector()
    rig.broker.until(lambda: set(rig.broker.objects[PODS]) == {"default/second"})
    assert rig.resume_watches() == [accepted]
    assert rig.streaming_lists() == []
    assert rig.requests("list") == []


def test_a_terminated_reflector_ends_soon_and_cleanly(rig):
    code, written = rig.end(signal.SIGTERM)
    assert code == 0
    assert "Traceback" not in written
    rig.start_reflector()


def test_the_reflector_says_who_it_is(rig):
    client = connect_cluster(Cluster(kubeconfig=str(rig.plan.runtime_dir / "kubeconfig")))
    assert client.config.user_agent == f"deltawire-reflector/{deltawire.__version__}"


def test_a_watch_that_cannot_be_kept_is_listed_again_and_one_that_is_refused_is_watched_again(
    api_server_factory,
):
    """docs/watches.md, from the wire on: each resource's watch meets another answer."""
    with ProcessRig(api_server_factory, [{"resource": resource} for resource in ANSWERS]) as rig:
        create_one_of_each(rig.server.create, "before")
        rig.broker.until(lambda: len(rig.broker.of("end")) == len(ANSWERS), seconds=60)
        rig.broker.until(lambda: len(rig.broker.proofs) >= len(ANSWERS), "all to be watched", seconds=60)
        give_answers(rig.server)
        # An event from the watch that was opened again would make the list needless.
        rig.broker.until(
            lambda: lists_of(rig.server) == expected_lists(), lambda: str(lists_of(rig.server)), seconds=60
        )
        rig.broker.until(lambda: len(rig.broker.of("end")) == sum(expected_lists().values()), seconds=60)
        create_one_of_each(rig.server.create, "after")

        def have_all():
            found = [rig.broker.objects[f"default/{resource}"] for resource in ANSWERS]
            return all("default/after" in objects for objects in found)

        rig.broker.until(have_all, "each stream to go on", seconds=60)
        assert lists_of(rig.server) == expected_lists()
