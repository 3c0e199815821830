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
        {},
    ),
    "webhook": Suite(*_CONTROLLER_RUNTIME, 8, {}),
}

# Our own programs (tests/suites/client_go).
CLIENT_GO = Suite("k8s.io/client-go", "v0.35.0", 70, {})

KR8S = Suite("kr8s", "0.20.15", 240, {})
KOPF = Suite("kopf", "1.45.2", 14, {})

_GONE = "it defines its kinds by apiextensions.k8s.io/v1beta1, which Kubernetes has not had since 1.22"
OFFICIAL_DYNAMIC = Suite(
    "kubernetes",
    "37.0.2",
    14,
    {
        "TestDynamicClient::test_async_namespaced_custom_resources": _GONE,
        "TestDynamicClient::test_cluster_custom_resources": _GONE,
        "TestDynamicClient::test_namespaced_custom_resources": _GONE,
        "TestDiscoverer::test_cache_decoder_resource_and_subresource": (
            "it compares two objects of a class without equality: no server makes them the same"
        ),
    },
)
# Our own programs (tests/suites/programs).
OFFICIAL_PROGRAMS = Suite("kubernetes", "37.0.2", 32, {})
LIGHTKUBE_PROGRAMS = Suite("lightkube", "1.0.1", 24, {})
