"""Fixtures for pytest: an API server of a test's own, or one for a module or the whole run, with a kubeconfig for it.

Loaded in every pytest run of an environment with this project, so nothing but pytest is imported before a fixture
is asked for.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import requests

    from deltawire.apiserver.server import ApiServer


@pytest.fixture
def deltawire_api_factory() -> "Iterator[Callable[..., ApiServer]]":
    """Start servers: ``factory(objects={"pods": 10}, tls=True)``, by the fields of `ApiServerOptions`.

    All of them end with the test. Raises ConfigError for options that make no sense.
    """
    started: list[ApiServer] = []

    def start(**options: Any) -> "ApiServer":
        server = _new(**options)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def deltawire_session_api() -> "Iterator[ApiServer]":
    """One server for the whole run: give each test a namespace of its own (`deltawire_namespace`)."""
    with _new() as server:
        yield server


@pytest.fixture(scope="module")
def deltawire_module_api() -> "Iterator[ApiServer]":
    """One server for the tests of a module."""
    with _new() as server:
        yield server


@pytest.fixture(scope="session")
def deltawire_session_kubeconfig(
    deltawire_session_api: "ApiServer", tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A kubeconfig file for `deltawire_session_api`."""
    folder = tmp_path_factory.mktemp("deltawire")
    return deltawire_session_api.write_kubeconfig(folder / "deltawire.kubeconfig")


@pytest.fixture
def deltawire_namespace(deltawire_session_api: "ApiServer") -> Iterator[str]:
    """The name of a new namespace of `deltawire_session_api`, which goes after the test with all that is in it."""
    made = deltawire_session_api.create("namespaces", {"metadata": {"generateName": "test-"}})
    name = str(made["metadata"]["name"])
    yield name
    deltawire_session_api.call(
        lambda core: core.exists("namespaces", name) and core.delete("namespaces", name)
    )


@pytest.fixture
def deltawire_api(deltawire_api_factory: "Callable[..., ApiServer]") -> "ApiServer":
    """A server of this test alone: plain http on a free port, the first namespaces, nothing else."""
    return deltawire_api_factory()


@pytest.fixture
def deltawire_kubeconfig(deltawire_api: "ApiServer", tmp_path: Path) -> Path:
    """A kubeconfig file for `deltawire_api`."""
    return deltawire_api.write_kubeconfig(tmp_path / "deltawire.kubeconfig")


@pytest.fixture
def deltawire_in_process(deltawire_api_factory: "Callable[..., ApiServer]") -> "ApiServer":
    """As `deltawire_api`, without a port: only this process reaches it, by its ``session()`` or ``adapter()``."""
    return deltawire_api_factory(listen=False)


@pytest.fixture
def deltawire_session(deltawire_in_process: "ApiServer") -> "Iterator[requests.Session]":
    """A requests session for `deltawire_in_process`; URLs begin with its ``url``."""
    with deltawire_in_process.session() as session:
        yield session


def _new(**options: Any) -> "ApiServer":
    from deltawire.apiserver.options import ApiServerOptions
    from deltawire.apiserver.server import ApiServer

    return ApiServer(ApiServerOptions(**options))
