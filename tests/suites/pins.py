"""What of other projects' suites is known to fail here, and why. docs/apiserver.md shows the same to users."""

from collections.abc import Mapping
from typing import NamedTuple


class Suite(NamedTuple):
    """One suite: where it is from, how many of its tests run at least, and which of them fail (name and reason).

    A test that is pinned may have several parameters: those count with it.
    """

    package: str
    version: str
    tests_min: int
    failing: Mapping[str, str]


_CONTROLLER_RUNTIME = ("sigs.k8s.io/controller-runtime", "v0.25.2")

CONTROLLER_RUNTIME: dict[str, Suite] = {
    "client": Suite(*_CONTROLLER_RUNTIME, 311, {}),
    "cache": Suite(
        *_CONTROLLER_RUNTIME,
        276,
        {
            "Cache with selectors Should list serviceaccounts and find exactly one in namespace test-namespace-1": (
                "a namespace has its account `default` also without controllers, so that tokens can be made of it"
            )
        },
    ),
    "webhook": Suite(*_CONTROLLER_RUNTIME, 8, {}),
}

# Our own programs (tests/suites/client_go).
CLIENT_GO = Suite("k8s.io/client-go", "v0.35.0", 70, {})

KR8S = Suite("kr8s", "0.20.15", 240, {})
KOPF = Suite("kopf", "1.45.2", 14, {})
