"""What has not changed is not sent again."""

import stat
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.discovery import answers
from deltawire.client.discovery.answers import AnswerFiles
from deltawire.client.discovery.discovery_client import DiscoveryClient
from deltawire.client.rest.client import RESTClient
from deltawire.common.errors import StatusError


class Documents:
    """A server with one document, which counts how often it sent it."""

    def __init__(self, server: Any) -> None:
        self.body, self.etag, self.sent, self.asked = b'{"a": 1}', '"one"', 0, 0
        self.code = 200
        server.answers(self.answer)

    def answer(self, exchange: Any) -> None:
        self.asked += 1
        if self.code != 200:
            exchange.reply(self.code, b"no", Content_Type="text/plain")
        elif exchange.headers["If-None-Match"] == self.etag:
            exchange.reply(304, b"")
        else:
            self.sent += 1
            exchange.reply(200, self.body, Content_Type="application/json", ETag=self.etag)


@pytest.fixture
def documents(server: Any) -> Documents:
    return Documents(server)


def client_of(client: RESTClient, folder: Path) -> DiscoveryClient:
    return DiscoveryClient(client, AnswerFiles(client.config, folder))


def test_what_has_not_changed_is_not_sent_again(
    documents: Documents, client: RESTClient, tmp_path: Path
) -> None:
    assert client_of(client, tmp_path).openapi_v2() == b'{"a": 1}'
    assert client_of(client, tmp_path).openapi_v2() == b'{"a": 1}'
    assert (documents.asked, documents.sent) == (2, 1)
    documents.body, documents.etag = b'{"a": 2}', '"two"'
    assert client_of(client, tmp_path).openapi_v2() == b'{"a": 2}'
    assert client_of(client, tmp_path).openapi_v2() == b'{"a": 2}'
    assert (documents.asked, documents.sent) == (4, 2)


def test_what_is_kept_is_never_used_unless_the_server_says_so(
    documents: Documents, client: RESTClient, tmp_path: Path
) -> None:
    discovery = client_of(client, tmp_path)
    discovery.openapi_v2()
    documents.code = 403
    with pytest.raises(StatusError) as refused:
        discovery.openapi_v2()
    assert refused.value.is_forbidden


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40, None])
def test_a_damaged_file_is_as_if_it_was_not_there(
    documents: Documents, client: RESTClient, tmp_path: Path, damage: bytes | None
) -> None:
    discovery = client_of(client, tmp_path)
    discovery.openapi_v2()
    [file] = tmp_path.rglob("*.msgpack")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    # None: one byte of the body is another one.
    file.write_bytes(file.read_bytes().replace(b'{"a": 1}', b'{"a": 7}') if damage is None else damage)
    assert discovery.openapi_v2() == b'{"a": 1}'
    assert documents.sent == 2
    assert discovery.openapi_v2() == b'{"a": 1}'
    assert documents.sent == 2


def test_a_folder_that_cannot_be_written_costs_a_line_in_the_log(
    documents: Documents, client: RESTClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    discovery = client_of(client, tmp_path / "file")
    assert discovery.openapi_v2() == b'{"a": 1}'
    assert "answers cannot be kept" in caplog.text


def test_the_oldest_answers_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "FILES_MAX", 3)
    files = AnswerFiles(ClientConfig("https://h"), tmp_path)
    for number in range(5):
        files.put(f"/{number}", "", etag='"x"', content_type="", body=b"{}")
        assert files.get(f"/{number}", "") is not None
    assert [files.get(f"/{number}", "") is not None for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert len(list(tmp_path.rglob("*.msgpack"))) == 3


def test_answers_of_different_servers_and_forms_are_kept_apart(tmp_path: Path) -> None:
    one, two = (AnswerFiles(ClientConfig(f"https://{host}"), tmp_path) for host in ("one", "two"))
    one.put("/apis", "a", etag='"x"', content_type="", body=b"{}")
    assert one.get("/apis", "a") is not None
    assert one.get("/apis", "b") is None
    assert two.get("/apis", "a") is None


def test_groups_and_resources_are_read_from_kept_answers(tmp_path: Path) -> None:
    with ApiServer(ApiServerOptions()) as server:
        client = RESTClient(ClientConfig(server.url))
        kept = AnswerFiles(client.config, tmp_path)
        first = DiscoveryClient(client, kept).server_groups_and_resources()
        assert len(list(tmp_path.rglob("*.msgpack"))) == 2
        assert DiscoveryClient(client, kept).server_groups_and_resources() == first
        assert [resource.type.name for resource in first.resources].count("pods") == 1
        client.close()
