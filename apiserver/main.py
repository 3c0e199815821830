"""The API server as a process."""

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Sequence

from deltawire.apiserver.descriptors import raise_limit
from deltawire.apiserver.options import ApiServerOptions, parse_flags
from deltawire.apiserver.service import Service
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
        run(parse_flags(sys.argv[1:] if argv is None else argv))
    except DeltawireError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


async def _serve(options: ApiServerOptions, stop: threading.Event) -> None:
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    service = Service(options)
    try:
        await service.start()
        await asyncio.to_thread(stop.wait)
    finally:
        await service.stop()
