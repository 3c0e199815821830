"""The flags of these programs, and the configuration that they mean."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.loading import load
from deltawire.common.errors import DeltawireError

OBJECTS = {"nodes": 2, "pods": 4, "deployments": 2}


def run(program: Callable[[ClientConfig], None], about: str) -> None:
    """Run ``program`` against the cluster of the command line; a failure is one line and an exit code."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--embedded", action="store_true", help="start an API server with a few objects")
    parser.add_argument("--kubeconfig", metavar="FILE")
    parser.add_argument("--context", metavar="NAME")
    flags = parser.parse_args()
    try:
        with cluster(flags) as config:
            program(config)
    except DeltawireError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


@contextlib.contextmanager
def cluster(flags: argparse.Namespace) -> Iterator[ClientConfig]:
    if not flags.embedded:
        yield load(kubeconfig=flags.kubeconfig, context=flags.context)
        return
    with ApiServer(ApiServerOptions(objects=OBJECTS)) as server:
        yield ClientConfig(server.url)
