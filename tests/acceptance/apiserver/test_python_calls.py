"""Our own list of Python calls, spread over the clients: each with what comes out."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import yaml
from kubernetes_asyncio import config as aio_config

from deltawire.apiserver.server import ApiServer
from tests.acceptance.apiserver import (
    manifests,
    python_calls_asyncio,
    python_calls_kr8s,
    python_calls_official,
)
from tests.acceptance.apiserver.calls import Call, failures_of

ALL = (
    python_calls_official.CALLS,
    python_calls_asyncio.AIO_CALLS,
    python_calls_asyncio.LIGHTKUBE_CALLS,
    python_calls_kr8s.CALLS,
)
CALLS_MIN = 40


def prepared(server: ApiServer, *, widgets: bool = True) -> None:
    """A pod that has printed something, and the widgets' definition."""
    pod = {"metadata": {"name": "talker"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    server.create("pods", pod, "default")
    server.run_pod("talker")
    server.script_log("talker", "first\nsecond")
    server.script_command("talker", ["ls"], "index.html\n")
    if widgets:
        server.create("customresourcedefinitions.apiextensions.k8s.io", yaml.safe_load(manifests.WIDGETS))


def checked(failed: list[str], calls: Sequence[Call]) -> None:
    assert not failed, f"{len(failed)} of {len(calls)} calls:\n" + "\n".join(failed)


def test_the_list_is_long() -> None:
    assert sum(len(calls) for calls in ALL) >= CALLS_MIN


def test_the_official_client(api_server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    prepared(api_server, widgets=False)
    opened = python_calls_official.Official(str(kubeconfig), str(tmp_path / "discovery"))
    opened.definition = yaml.safe_load(manifests.WIDGETS)
    with opened.api:
        failed = asyncio.run(failures_of(python_calls_official.CALLS, opened))
    checked(failed, python_calls_official.CALLS)


def test_kubernetes_asyncio(api_server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with await aio_config.new_client_from_config(str(kubeconfig)) as api:
            opened = python_calls_asyncio.Aio(api)
            opened.cache_file = str(tmp_path / "discovery")
            return await failures_of(python_calls_asyncio.AIO_CALLS, opened)

    prepared(api_server)
    api_server.create("configmaps", {"metadata": {"name": "old"}}, "kube-system")
    api_server.compact("configmaps")
    checked(asyncio.run(run()), python_calls_asyncio.AIO_CALLS)


def test_lightkubes_asynchronous_client(api_server: ApiServer, kubeconfig: Path) -> None:
    async def run() -> list[str]:
        opened = python_calls_asyncio.Lk(str(kubeconfig))
        try:
            return await failures_of(python_calls_asyncio.LIGHTKUBE_CALLS, opened)
        finally:
            await opened.client.close()

    prepared(api_server)
    checked(asyncio.run(run()), python_calls_asyncio.LIGHTKUBE_CALLS)


def test_kr8s(api_server: ApiServer, kubeconfig: Path) -> None:
    prepared(api_server)
    opened = python_calls_kr8s.Kr8s(str(kubeconfig))
    checked(asyncio.run(failures_of(python_calls_kr8s.CALLS, opened)), python_calls_kr8s.CALLS)
