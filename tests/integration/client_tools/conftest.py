from collections.abc import Iterator

import pytest

from deltawire.apiserver.server import ApiServer
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[RESTClient]:
    found = RESTClient(ClientConfig(api_server.url))
    yield found
    found.close()
