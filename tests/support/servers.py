"""Fixtures that start the embedded API server, and small clients for it. Loaded by ``tests/conftest.py``."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from deltawire.apiserver.server import ApiServer
from tests.support.leftovers import inherited
from tests.support.patience import wait_until

ServerFactory = Callable[..., ApiServer]


@pytest.fixture
def api_server_factory(deltawire_api_factory: ServerFactory) -> ServerFactory:
    """Start servers with ``factory(objects={...}, ...)`` (fields of ApiServerOptions); all end with the test."""
    return deltawire_api_factory


@pytest.fixture
def api_server(api_server_factory: ServerFactory) -> ApiServer:
    """An API server of this test alone: the first namespaces, no objects, no churn, plain http."""
    return api_server_factory()


@pytest.fixture(params=[True, False], ids=["socket", "in-process"])
def api_server_both_ways(request: pytest.FixtureRequest, api_server_factory: ServerFactory) -> ApiServer:
    """As `api_server`, once reached by a socket and once without; for `ask` and `WatchLines`."""
    return api_server_factory(listen=request.param)


@pytest.fixture
def kubeconfig(api_server: ApiServer, tmp_path: Path) -> Path:
    """A kubeconfig file for `api_server`."""
    return api_server.write_kubeconfig(tmp_path / "kubeconfig")


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a cache of its own, so that no other server's discovery leaks in."""

    kubeconfig: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.home / "cache"),
            **inherited(),
        }

    def run(
        self,
        *args: str,
        stdin: str = "",
        check: bool = True,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; with ``check`` a failure fails the test with kubectl's words."""
        done = subprocess.run(
            ["kubectl", *args],
            env={**self.environment, **(env or {})},
            cwd=cwd,
            input=stdin,
            text=True,
            capture_output=True,
            timeout=30,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"kubectl {' '.join(args)}: exit {done.returncode}: {done.stderr or done.stdout}")
        return done

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a long command; the caller ends it."""
        return subprocess.Popen(
            ["kubectl", *args],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def kubectl(kubeconfig: Path, tmp_path: Path) -> Kubectl:
    """The real kubectl against `api_server`. Missing, it skips; in CI, where it must be there, it fails."""
    require_kubectl()
    return Kubectl(kubeconfig, tmp_path)


def require_kubectl() -> None:
    if shutil.which("kubectl") is None:
        if os.environ.get("CI"):
            pytest.fail("kubectl is not on the PATH, and CI needs it")
        pytest.skip("kubectl is not on the PATH")


def session_for(server: ApiServer) -> requests.Session:
    """A session that reaches the server by its port, or without a socket where it has none."""
    return server.session() if server.url.endswith(".localhost") else requests.Session()


def ask(server: ApiServer, method: str, path: str, **options: Any) -> requests.Response:
    with session_for(server) as session:
        return session.request(method, server.url + path, timeout=10, **options)


class WatchLines:
    """An open watch over plain HTTP: one decoded event at a time."""

    def __init__(self, server: ApiServer | str, path: str, **query: str) -> None:
        is_url = isinstance(server, str)
        self._session = requests.Session() if is_url else session_for(server)
        self._response = self._session.get(
            (server if is_url else server.url) + path,
            params={"watch": "1", **query},
            stream=True,
            timeout=(5, 20),
        )
        self.status = self._response.status_code
        self._lines = self._response.iter_lines(chunk_size=None)

    def next(self) -> dict[str, Any]:
        """The next event; StopIteration at a clean end."""
        event: dict[str, Any] = json.loads(next(self._lines))
        return event

    def rest(self) -> list[dict[str, Any]]:
        """All events until the server ends the watch."""
        return [json.loads(line) for line in self._lines]

    def close(self) -> None:
        self._response.close()
        self._session.close()

    def __enter__(self) -> "WatchLines":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def eventually(holds: Callable[[], bool], what: str, deadline_s: float = 10.0) -> None:
    """Poll until ``holds()``; fail with ``what`` at the deadline."""
    wait_until(holds, what, seconds=deadline_s)
