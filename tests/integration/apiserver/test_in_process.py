"""The API server without a port, as a requests session sees it. The rules of HTTP are in test_http_rules.py."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from deltawire.apiserver.inprocess.adapter import InProcessAdapter
from deltawire.apiserver.inprocess.connection import MemorySocket
from deltawire.apiserver.server import ApiServer
from deltawire.common.errors import ConfigError
from tests.support.servers import ServerFactory, eventually

MAPS = "/api/v1/namespaces/default/configmaps"
WATCH = f"{MAPS}?watch=1"
END_S = 30.0


@pytest.fixture
def server(api_server_factory: ServerFactory) -> ApiServer:
    return api_server_factory(listen=False)


@pytest.fixture
def session(server: ApiServer) -> Iterator[requests.Session]:
    with server.session() as session:
        yield session


def make(server: ApiServer, *names: str) -> None:
    for name in names:
        server.create("configmaps", {"metadata": {"name": name}}, "default")


def watches(server: ApiServer) -> int:
    with server.session() as session:
        return int(session.get(f"{server.url}/_deltawire/stats", timeout=10).json()["watches"])


def test_events_come_as_they_happen_by_lines_and_by_chunks(
    server: ApiServer, session: requests.Session
) -> None:
    with (
        session.get(server.url + WATCH, stream=True, timeout=20) as by_lines,
        session.get(server.url + WATCH, stream=True, timeout=20) as by_chunks,
    ):
        lines, chunks = by_lines.iter_lines(chunk_size=None), by_chunks.raw.stream(65536)
        for name in "abc":
            make(server, name)
            assert json.loads(next(lines))["object"]["metadata"]["name"] == name
            assert json.loads(next(chunks))["object"]["metadata"]["name"] == name


def test_a_watch_closed_in_another_thread_ends_for_its_reader_and_the_server(
    server: ApiServer, session: requests.Session
) -> None:
    response = session.get(server.url + WATCH, stream=True)
    is_reading, ends = threading.Event(), list[Exception]()

    def read() -> None:
        try:
            for _ in response.iter_lines(chunk_size=None):
                is_reading.set()
        # The second is urllib3's, where the close came between two reads.
        except (requests.exceptions.ChunkedEncodingError, AttributeError) as error:
            ends.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    make(server, "a")
    assert is_reading.wait(END_S)
    closer = threading.Thread(target=response.close)
    closer.start()
    closer.join(END_S)
    reader.join(END_S)
    assert not closer.is_alive()
    assert not reader.is_alive()
    assert len(ends) == 1
    eventually(lambda: watches(server) == 0, "the server has ended it", END_S)


def test_a_watch_that_nobody_holds_any_more_ends(server: ApiServer, session: requests.Session) -> None:
    response = session.get(server.url + WATCH, stream=True)
    assert watches(server) == 1
    del response
    eventually(lambda: watches(server) == 0, "the server has ended it", END_S)


def test_time_outs_are_kept(server: ApiServer, session: requests.Session) -> None:
    with (
        session.get(server.url + WATCH, stream=True, timeout=(5, 0.1)) as response,
        pytest.raises(requests.ConnectionError, match="timed out"),
    ):
        next(response.iter_lines(chunk_size=None))
    server.fault("latency", 60, verb="list", count=1)
    with pytest.raises(requests.ReadTimeout):
        session.get(server.url + MAPS, timeout=0.1)
    assert session.get(server.url + MAPS, timeout=20).status_code == 200


def test_a_server_that_stops_ends_watches_in_good_order_and_refuses_what_comes_later(
    server: ApiServer, session: requests.Session
) -> None:
    make(server, "a")
    with session.get(server.url + WATCH, stream=True, timeout=20) as response:
        lines = response.iter_lines(chunk_size=None)
        next(lines)
        server.stop()
        assert list(lines) == []
    with pytest.raises(requests.ConnectionError, match="does not run"):
        session.get(server.url + MAPS, timeout=20)


def test_nobody_is_left_waiting_by_a_server_that_stops_while_clients_come(
    api_server_factory: ServerFactory,
) -> None:
    for _ in range(10):
        server = api_server_factory(listen=False)
        ends: list[str] = []

        def ask(server: ApiServer = server, ends: list[str] = ends) -> None:
            with server.session() as session:
                try:
                    while True:
                        session.get(f"{server.url}/version")  # without a time-out: nobody saves it
                except requests.ConnectionError:
                    ends.append("told")

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        server.stop()
        for asker in askers:
            asker.join(END_S)
        assert ends == ["told"] * 4


def test_a_reader_that_lags_is_cut_off_with_410(
    api_server_factory: ServerFactory,
) -> None:
    server = api_server_factory(listen=False, window_events_max=20)
    with server.session() as session, session.get(server.url + WATCH, stream=True, timeout=20) as response:
        for number in range(60):
            body = {"metadata": {"name": f"a{number}"}, "data": {"x": "y" * 100_000}}
            server.create("configmaps", body, "default")
        events = [json.loads(line) for line in response.iter_lines(chunk_size=None)]
    assert (events[-1]["type"], events[-1]["object"]["code"]) == ("ERROR", 410)
    assert len(events) < 60


def test_large_bodies_pass_both_ways(server: ApiServer, session: requests.Session) -> None:
    text = "x" * (2 << 20)
    server.create("configmaps", {"metadata": {"name": "a"}, "data": {"x": text}}, "default")
    read = session.get(f"{server.url}{MAPS}/a").json()
    assert read["data"]["x"] == text
    sent = session.put(f"{server.url}{MAPS}/a", json=read)
    assert (sent.status_code, sent.json()["data"]["x"] == text) == (200, True)


def test_connections_are_used_again_and_by_many_threads(server: ApiServer) -> None:
    dialled = []

    def dial() -> MemorySocket:
        dialled.append(1)
        return server.dial()

    with requests.Session() as session:
        session.mount(server.url, InProcessAdapter(dial))
        for _ in range(5):
            assert session.get(f"{server.url}/version", timeout=20).status_code == 200
        assert len(dialled) == 1

        def ask(number: int) -> int:
            body = {"metadata": {"name": f"n{number}"}}
            return session.post(server.url + MAPS, json=body, timeout=20).status_code

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(ask, range(40))) == {201}


def test_a_session_reaches_two_servers_by_their_urls(api_server_factory: ServerFactory) -> None:
    one, two = api_server_factory(listen=False), api_server_factory(listen=False)
    make(one, "a")
    with one.session() as session:
        session.mount(two.url, two.adapter())
        assert len(session.get(one.url + MAPS, timeout=20).json()["items"]) == 1
        assert session.get(two.url + MAPS, timeout=20).json()["items"] == []


def test_a_proxy_in_the_environment_is_not_asked(
    server: ApiServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert session.get(server.url + MAPS, timeout=20).status_code == 200


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_listens_is_reached_both_ways(
    api_server_factory: ServerFactory, tmp_path: Path, tls: bool
) -> None:
    server = api_server_factory(tls=tls)
    (tmp_path / "ca.pem").write_bytes(server.ca_pem)
    make(server, "a")
    with server.session() as session:
        inside = session.get(server.url + MAPS, timeout=20).json()
    verify = str(tmp_path / "ca.pem") if tls else True
    outside = requests.get(server.url + MAPS, timeout=20, verify=verify).json()
    assert inside == outside


def test_what_needs_a_port_is_refused_without_one(
    server: ApiServer, api_server_factory: ServerFactory, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="reach a server without a port"):
        server.write_kubeconfig(tmp_path / "kubeconfig")
    for options in ({"tls": True}, {"kubeconfig": tmp_path / "kubeconfig"}):
        with pytest.raises(ConfigError, match="need a server that listens"):
            api_server_factory(listen=False, **options)
