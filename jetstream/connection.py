"""A connection to NATS in a thread of its own: nats-py runs on asyncio, our roles do not."""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.jetstream.settings import NatsSettings, without_password

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.kv import KeyValue

    from deltawire.jetstream.client import Client

log = logging.getLogger(__name__)

T = TypeVar("T")
# A server that does not answer within this is tried again, or another one is.
CONNECT_S = 2.0
RETRY_S = 0.5
# A server that is silent for two of these is left.
PING_S = 3
# One request. A new leader of a stream is elected in 2-5 s.
REQUEST_S = 5.0
# While no server is reached this is said again.
SAY_EVERY_S = 10.0
INSTALL = "pip install nats-py, or deltawire with its extra 'nats'"


class NatsError(DeltawireError):
    """NATS cannot be used as it is; the text says what to do."""


class Connection:
    """``start`` returns at once; all that is asked for waits until a server is reached, and again when it is lost.

    Coroutines run in the connection's thread: `submit` and `wait` may be called from any other.
    """

    def __init__(
        self, settings: NatsSettings, *, label: str, clock: Clock | None = None, is_quiet: bool = False
    ) -> None:
        """``label``: by what the server's operator sees the connection. ``is_quiet``: what fails is in `problem`,
        not in the log. Raises ConfigError without nats-py."""
        try:
            from deltawire.jetstream.client import Client
        except ImportError:
            raise ConfigError("nats-py is not installed, and the config names NATS", hint=INSTALL) from None
        self.settings = settings
        self.reconnects = 0
        self.problem = f"no server of {settings.shown} was reached yet"
        self._label = label
        self._is_quiet = is_quiet
        self._clock = clock or SystemClock()
        self._client = Client(settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="nats", daemon=True)
        self._is_up = asyncio.Event()
        self._is_closing = False
        self._works: set[asyncio.Future[Any]] = set()

    def start(self) -> None:
        self._thread.start()
        self.submit(self._connect())

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected

    @property
    def server(self) -> str:
        """The server that is connected, "" if none is."""
        url = self._client.connected_url
        return without_password(url.geturl()) if url is not None else ""

    @property
    def payload_bytes_max(self) -> int:
        """Of one message, as the server says."""
        return self._client.max_payload

    @property
    def client(self) -> "Client":
        return self._client

    def jetstream(self, timeout_s: float = REQUEST_S) -> "JetStreamContext":
        return self._client.jetstream(timeout=timeout_s)

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run it in the connection's thread."""
        return asyncio.run_coroutine_threadsafe(self._tracked(work), self._loop)

    async def _tracked(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.ensure_future(work)
        self._works.add(task)
        try:
            return await task
        finally:
            self._works.discard(task)

    def wait(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Run it there and wait. Raises TimeoutError, and what it raises."""
        future = self.submit(work)
        try:
            return future.result(timeout_s)
        finally:
            future.cancel()

    async def connected(self) -> None:
        """Returns once a server is connected."""
        await self._is_up.wait()

    async def bucket(self, what: str, *, ttl_s: float = 0, max_bytes: int = 64 * 1024**2) -> "KeyValue":
        """The bucket of that name, made where there is none, as the config has it. ``ttl_s``: what is older is gone; 0:
        nothing is.

        Raises NatsError where the servers will not.
        """
        from nats.js.api import KeyValueConfig
        from nats.js.errors import APIError, BucketNotFoundError, Error

        await self.connected()
        jetstream, name = self.jetstream(), self.settings.bucket(what)
        try:
            bucket = await jetstream.key_value(name)
            found = (await jetstream.stream_info(f"KV_{name}")).config
            wanted = (self.settings.replicas, ttl_s)
            if (found.num_replicas, found.max_age or 0) != wanted:
                await jetstream.update_stream(found.evolve(num_replicas=wanted[0], max_age=ttl_s))
            return bucket
        except BucketNotFoundError:
            pass
        except APIError as error:
            raise refused(f"bucket {name}", error, self.settings) from None
        config = KeyValueConfig(
            bucket=name,
            history=1,
            ttl=ttl_s or None,
            max_bytes=max_bytes,
            replicas=self.settings.replicas,
            # Each read is answered by the leader: a replica may be behind.
            direct=False,
        )
        try:
            return await jetstream.create_key_value(config)
        except Error as error:
            raise refused(f"bucket {name}", error, self.settings) from None

    def close(self) -> None:
        """Ends the connection and its thread; what is under way is cut."""
        if self._thread.ident is None:
            self._loop.close()
            return
        self._is_closing = True
        try:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(2 * CONNECT_S)
        except Exception as error:
            log.debug("closing NATS: %s", error)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONNECT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()

    async def _connect(self) -> None:
        last_said_s = float("-inf")

        async def failed(error: Exception) -> None:
            nonlocal last_said_s
            self.problem = f"{self._client.tried or self.settings.shown}: {explained(error)}"
            if not self._is_quiet and self._clock.now_s() - last_said_s >= SAY_EVERY_S:
                last_said_s = self._clock.now_s()
                log.warning("NATS: %s", self.problem)

        async def lost() -> None:
            self._is_up.clear()
            if self._is_closing:
                return
            self.problem = "the connection is lost"
            log.warning("NATS: the connection is lost")

        async def back() -> None:
            self.reconnects += 1
            self.problem = ""
            self._is_up.set()
            log.info("NATS: connected to %s again", self.server)

        try:
            await self._client.connect(
                **self.settings.options(),
                name=self._label,
                error_cb=failed,
                disconnected_cb=lost,
                reconnected_cb=back,
                connect_timeout=int(CONNECT_S),
                reconnect_time_wait=RETRY_S,  # type: ignore[arg-type]
                max_reconnect_attempts=-1,
                ping_interval=PING_S,
                max_outstanding_pings=2,
                # What is sent while nobody is connected is lost at once, and sent again by who sent it.
                pending_size=-1,
            )
        except Exception as error:
            self.problem = f"{self.settings.shown}: {error}"
            log.error("NATS: %s", self.problem)
            return
        self.problem = ""
        self._is_up.set()
        log.info("NATS: connected to %s", self.server)

    async def _close(self) -> None:
        """What is under way is cancelled first, while the servers can still be told: leases are given back."""
        works, self._works = self._works, set()
        for work in works:
            work.cancel()
        if works:
            await asyncio.wait(works, timeout=CONNECT_S / 2)
        await self._client.close()


def explained(error: Exception) -> str:
    """Why there is no connection, and where to look."""
    text = words_of(error)
    low = text.lower()
    if "authorization" in low or "authentication" in low:
        return f"{text} (look at user and password in engine.servers or archive.servers, or at credentials)"
    if "certificate" in low or "ssl" in low or "tls" in low:
        return f"{text} (look at tls:// in the URLs, ca, cert and key)"
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_S:g} s"
    return text


def words_of(error: Exception) -> str:
    """What an error of nats-py says, in one line."""
    from nats.errors import NoRespondersError, OutboundBufferLimitError
    from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError

    if isinstance(error, NoStreamResponseError):
        return "no stream takes it"
    if isinstance(error, TimeoutError) and str(error) in ("", "nats: timeout"):
        return "no answer in time (have the servers a majority?)"
    if isinstance(error, (NoRespondersError, ServiceUnavailableError)) and not getattr(
        error, "err_code", None
    ):
        return "JetStream does not answer"
    if isinstance(error, OutboundBufferLimitError):
        return "no server is connected"
    text = (error.description if isinstance(error, APIError) else "") or str(error) or type(error).__name__
    return " ".join(text.removeprefix("nats: ").strip("'").split())


def refused(what: str, error: Exception, settings: NatsSettings) -> NatsError:
    """Why the servers will not make or keep something, and what to do."""
    text = words_of(error)
    hint = ""
    code = getattr(error, "err_code", None)
    if code in (10005, 10074) or "replicas" in text:
        hint = f"replicas: {settings.replicas} needs as many servers with JetStream; say fewer in engine.replicas"
    elif code in (10039, 10076) or "jetstream" in text.lower():
        hint = "start the servers with JetStream (nats-server -js), and let this account use it"
    elif code in (10047, 10023, 10028):
        hint = (
            "max_bytes is more than the servers may keep: say less, or raise max_file_store in their config"
        )
    elif code == 10065:
        hint = "another stream has these subjects: say another engine.name or archive.name, or delete that stream"
    return NatsError(f"NATS {settings.shown} refuses {what}: {text}", hint=hint)
