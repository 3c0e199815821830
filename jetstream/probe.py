"""Whether the servers that a config names can be used from here, for ``deltawire check``."""

from concurrent.futures import TimeoutError as FutureTimeoutError

from deltawire.jetstream.connection import Connection, NatsError, refused
from deltawire.jetstream.settings import NatsSettings

PROBE_S = 6.0


def probe(settings: NatsSettings, payload_bytes_needed: int) -> str:
    """What was found, in words. Raises NatsError and ConfigError, in one line, with what to do."""
    connection = Connection(settings, label="deltawire check", is_quiet=True)
    connection.start()
    try:
        return connection.wait(_look(connection, payload_bytes_needed), PROBE_S)
    except (TimeoutError, FutureTimeoutError):
        problem = connection.problem or "JetStream does not answer"
        raise NatsError(
            f"no answer: {problem}",
            hint="is nats-server started with JetStream (-js), and reachable from here?",
        ) from None
    finally:
        connection.close()


async def _look(connection: Connection, payload_bytes_needed: int) -> str:
    from nats.js.errors import Error

    await connection.connected()
    taken = connection.payload_bytes_max
    if taken < payload_bytes_needed:
        raise NatsError(
            f"{connection.server} takes messages of {taken} bytes, an object may need {payload_bytes_needed}",
            hint="set max_payload: 16MB in the servers' config",
        )
    try:
        info = await connection.jetstream().account_info()
    except Error as error:
        raise refused("JetStream", error, connection.settings) from None
    return f"{connection.server} answers, with JetStream ({info.streams} streams)"
