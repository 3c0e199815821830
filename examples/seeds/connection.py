"""The flags of these programs, and the configuration that they mean."""

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.loading import load
from deltawire.common.errors import DeltawireError
from deltawire.common.meta.units import parse_duration_s

OBJECTS = {"nodes": 2, "pods": 4, "deployments": 2}


def run(program: Callable[[ClientConfig], None], about: str) -> None:
    """Run ``program`` against the cluster of the command line; a failure is one line and an exit code."""
    flags = _flags(about).parse_args()
    with _failing_in_one_line(), _cluster(flags, ApiServerOptions(objects=OBJECTS)) as config:
        program(config)


def follow(
    program: Callable[[ClientConfig, threading.Event], None],
    about: str,
    *,
    churn_per_s: float = 0.0,
    prepare: Callable[[ApiServer], None] = lambda server: None,
) -> None:
    """As `run`, for a program that goes on until its event is set: by Ctrl-C, SIGTERM, or ``--for``.

    An embedded API server makes ``churn_per_s`` changes a second and is given to ``prepare`` first.
    """
    parser = _flags(about)
    parser.add_argument("--for", dest="for_", metavar="15s", help="stop after so long (until Ctrl-C)")
    flags = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    options = ApiServerOptions(objects=OBJECTS, churn_per_s=churn_per_s)
    with _failing_in_one_line(), contextlib.ExitStack() as stack:
        if flags.for_:
            timer = threading.Timer(parse_duration_s(flags.for_, "--for"), stop.set)
            timer.start()
            stack.callback(timer.cancel)
        program(stack.enter_context(_cluster(flags, options, prepare)), stop)


def _flags(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--embedded", action="store_true", help="start an API server with a few objects")
    parser.add_argument("--kubeconfig", metavar="FILE")
    parser.add_argument("--context", metavar="NAME")
    return parser


@contextlib.contextmanager
def _failing_in_one_line() -> Iterator[None]:
    try:
        yield
    except DeltawireError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


@contextlib.contextmanager
def _cluster(
    flags: argparse.Namespace,
    options: ApiServerOptions,
    prepare: Callable[[ApiServer], None] = lambda server: None,
) -> Iterator[ClientConfig]:
    if not flags.embedded:
        yield load(kubeconfig=flags.kubeconfig, context=flags.context)
        return
    with ApiServer(options) as server:
        prepare(server)
        yield ClientConfig(server.url)
