"""Connections to NATS servers as tests make them, and the patience for what is seen of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from deltawire.jetstream.connection import Connection
from deltawire.jetstream.settings import NatsSettings
from tests.support.patience import wait_until

until = partial(wait_until, seconds=30.0)


@contextmanager
def connecting(*servers: str, **settings: Any) -> Iterator[Connection]:
    connection = Connection(NatsSettings(servers=servers, **settings), label="t")
    connection.start()
    try:
        yield connection
    finally:
        connection.close()
