"""The API server as a process."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from deltawire.apiserver.descriptors import raise_limit
from deltawire.apiserver.options import ApiServerOptions, parse_flags
from deltawire.common.errors import DeltawireError


def run(options: ApiServerOptions, stop: threading.Event | None = None) -> None:
    """Serve until SIGTERM, SIGINT or ``stop``. Raises ConfigError or StateError when it cannot start.

    Ready when the kubeconfig file of the options exists. Signals are handled only in the main thread. The process
    may open as many files as its hard limit allows from then on.
    """
    raise_limit()
    asyncio.run(_serve(options, stop or threading.Event()))


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m deltawire.apiserver``: the exit code. A user's mistake is one line on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        options = parse_flags(sys.argv[1:] if argv is None else argv)
        with without_certificates():
            import deltawire.apiserver.service  # noqa: F401 - for `run`
        run(options)
    except DeltawireError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


@contextmanager
def without_certificates() -> Iterator[None]:
    """aiohttp, when it is imported, reads all certificates of the system, which takes a fifth of the start.

    They are for requests that name no context of their own; the server makes none. Only for a process of its own.
    """
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    kept = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


async def _serve(options: ApiServerOptions, stop: threading.Event) -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    from deltawire.apiserver.service import Service

    service = Service(options)
    try:
        await service.start()
        await asyncio.to_thread(stop.wait)
    finally:
        await service.stop()
