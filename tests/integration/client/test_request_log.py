"""The lines about requests, over real sockets: what is in them, and what never is."""

import logging
from typing import Any

import pytest

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest import request_log
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.common.errors import TransportError

SECRET = "s3cr3t"


@pytest.fixture
def client(server: Any) -> Any:
    found = RESTClient(ClientConfig(server.url, token=SECRET))
    yield found
    found.close()


def answer(exchange: Any) -> None:
    exchange.reply(200, b"{}", **{"Set-Cookie": f"id={SECRET}", "Audit-Id": "a-1"})


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == request_log.__name__]


@pytest.mark.parametrize(
    ("level", "expected"), [(logging.INFO, 0), (logging.DEBUG, 1), (request_log.HEADERS, 2)]
)
def test_a_request_is_a_line_and_its_headers_another_where_that_is_asked_for(
    server: Any, client: RESTClient, caplog: pytest.LogCaptureFixture, level: int, expected: int
) -> None:
    server.answers(answer)
    caplog.set_level(level, request_log.__name__)
    client.get().abs_path("/api/v1/things").param("limit", 3).do()
    found = lines(caplog)
    assert len(found) == expected
    if found:
        assert found[0].startswith(f"GET {server.url}/api/v1/things?limit=3: 200 after ")
    if found[1:]:
        assert "Authorization: <redacted>" in found[1]
        assert "Audit-Id: a-1" in found[1]
    assert SECRET not in caplog.text


def test_a_request_that_got_no_answer_is_a_line_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, request_log.__name__)
    client = RESTClient(ClientConfig("http://127.0.0.1:9"))
    with pytest.raises(TransportError):
        client.get().abs_path("/version").retry(NO_RETRIES).do()
    client.close()
    assert lines(caplog)[0].startswith("GET http://127.0.0.1:9/version: ConnectionError after ")
