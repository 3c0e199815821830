"""The fixtures that others' tests use, tried in a pytest run of their own."""

import subprocess
import sys
import textwrap
from pathlib import Path

USE = """
    import sys
    import threading
    import urllib.request

    import pytest

    sockets = {"seen": [], "wanted": False}


    def audit(event, arguments):
        if sockets["wanted"] and event in ("socket.bind", "socket.connect", "socket.getaddrinfo"):
            sockets["seen"].append(event)


    sys.addaudithook(audit)


    @pytest.fixture
    def no_sockets():
        sockets.update(seen=[], wanted=True)
        yield
        sockets["wanted"] = False
        assert sockets["seen"] == []


    def test_each_test_has_a_server_of_its_own(deltawire_api, deltawire_kubeconfig):
        assert deltawire_api.url in deltawire_kubeconfig.read_text()
        deltawire_api.create("configmaps", {"metadata": {"name": "a"}}, "default")
        with urllib.request.urlopen(deltawire_api.url + "/api/v1/namespaces/default/configmaps/a") as got:
            assert got.status == 200


    def test_nothing_is_left_of_another_tests_objects(deltawire_api):
        assert "configmaps" not in deltawire_api.call(lambda core: core.counts())


    def test_a_factory_takes_options_and_faults_can_be_set(deltawire_api_factory):
        server = deltawire_api_factory(objects={"pods": 3})
        assert server.call(lambda core: core.counts())["pods"] == 3
        server.fault("error", 503, count=1)
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(server.url + "/api/v1/pods")
        failed.value.close()
        assert failed.value.code == 503


    def test_a_session_needs_no_socket(deltawire_in_process, deltawire_session, no_sockets):
        url = deltawire_in_process.url + "/api/v1/namespaces/default/configmaps"
        assert deltawire_session.post(url, json={"metadata": {"name": "a"}}).status_code == 201
        watch = deltawire_session.get(url, params={"watch": "1"}, stream=True)
        assert b'"ADDED"' in next(watch.iter_lines(chunk_size=None))
        # Left open on purpose: the server's end is the watch's, too.


    def test_no_thread_is_left():
        assert "deltawire-apiserver" not in [thread.name for thread in threading.enumerate()]


    namespaces = []


    def test_a_namespace_of_the_runs_own_server(deltawire_session_api, deltawire_namespace):
        deltawire_session_api.create("configmaps", {"metadata": {"name": "a"}}, deltawire_namespace)
        namespaces.append(deltawire_namespace)


    def test_another_namespace_and_the_one_before_is_gone(
        deltawire_session_api, deltawire_namespace, deltawire_session_kubeconfig
    ):
        assert deltawire_namespace not in namespaces
        assert not deltawire_session_api.call(lambda core: core.exists("namespaces", namespaces[0]))
        assert deltawire_session_api.url in deltawire_session_kubeconfig.read_text()


    servers = []


    def test_a_server_of_the_module(deltawire_module_api):
        servers.append(deltawire_module_api)


    def test_the_same_server_of_the_module(deltawire_module_api):
        assert servers == [deltawire_module_api]
"""


def test_the_fixtures_work_and_leave_nothing_under_strict_warnings(tmp_path: Path) -> None:
    (tmp_path / "test_use.py").write_text(textwrap.dedent(USE))
    # By name: the entry point is seen only where the project was installed since it was added.
    plugin = "deltawire.apiserver.pytest_plugin"
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", plugin, "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed" in done.stdout


def test_loading_the_plug_in_imports_nothing_heavy() -> None:
    heavy = (
        "aiohttp",
        "msgspec",
        "yaml",
        "requests",
        "deltawire.apiserver.server",
        "deltawire.apiserver.core",
    )
    code = f"""
import sys
import pytest
before = set(sys.modules)
import deltawire.apiserver.pytest_plugin
new = set(sys.modules) - before
print([name for name in {heavy!r} if name in new])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "[]"
