"""Signing requests on the embedded API server, with a signer that works beside."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deltawire.client.rest.client import RESTClient
from deltawire.client.tools.certificate import signing
from deltawire.client.tools.certificate.key_pair import Template, key_pair, request_for
from deltawire.client.tools.certificate.signing import request_certificate
from deltawire.common.errors import CredentialsError, WaitError
from deltawire.common.meta.resources import ResourceType, find
from tests.support.servers import eventually
from tests.support.signer import Signer

CRDS = find("customresourcedefinitions")
assert isinstance(CRDS, ResourceType)
# The embedded server has no signing requests of its own: the same shape under another group.
REQUESTS = ResourceType(
    "sign.example", "v1", "certificatesigningrequests", "CertificateSigningRequest", False
)


@pytest.fixture
def requests(client: RESTClient, monkeypatch: pytest.MonkeyPatch) -> RESTClient:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    client.of(CRDS).create(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "certificatesigningrequests.sign.example"},
            "spec": {
                "group": "sign.example",
                "scope": "Cluster",
                "names": {"plural": "certificatesigningrequests", "kind": "CertificateSigningRequest"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }
    )
    monkeypatch.setattr(signing, "REQUESTS", REQUESTS)
    return client


@pytest.fixture
def decide(requests: RESTClient) -> Iterator[Callable[..., None]]:
    """Do something to the first request that appears."""
    threads: list[threading.Thread] = []

    def start(act: Callable[[dict[str, Any]], None]) -> None:
        def wait_and_act() -> None:
            def made() -> list[dict[str, Any]]:
                items: list[dict[str, Any]] = requests.get().resource(REQUESTS).do().into()["items"]
                return items

            eventually(lambda: bool(made()), "a request is made")
            act(made()[0])

        threads.append(threading.Thread(target=wait_and_act))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(10)


def ask(client: RESTClient, csr: bytes, **options: Any) -> bytes:
    return request_certificate(
        client,
        csr,
        signer_name="example.com/s",
        usages=["client auth"],
        **{"timeout_s": 20, **options},
    )


def test_a_signed_request_brings_its_certificate(requests: RESTClient, decide: Callable[..., None]) -> None:
    key, csr = request_for(Template("me"))
    seen: list[dict[str, Any]] = []

    def sign(found: dict[str, Any]) -> None:
        seen.append(found)
        signed = Signer(time.time(), 3600).sign(base64.b64decode(found["spec"]["request"]))
        status = {"status": {"certificate": base64.b64encode(signed).decode()}}
        requests.of(REQUESTS).patch(found["metadata"]["name"], status)

    decide(sign)
    assert key_pair(ask(requests, csr, requested_s=3600), key).named.common_name == "me"
    spec = seen[0]["spec"]
    assert (spec["signerName"], spec["usages"], spec["expirationSeconds"]) == (
        "example.com/s",
        ["client auth"],
        3600,
    )
    assert seen[0]["metadata"]["name"].startswith("csr-")


@pytest.mark.parametrize("kind", ["Denied", "Failed"])
def test_a_refused_request_says_why(requests: RESTClient, decide: Callable[..., None], kind: str) -> None:
    def refuse(found: dict[str, Any]) -> None:
        condition = {"type": kind, "status": "True", "reason": "NotYou", "message": "go away"}
        requests.of(REQUESTS).patch(found["metadata"]["name"], {"status": {"conditions": [condition]}})

    decide(refuse)
    with pytest.raises(CredentialsError, match=f"is {kind.lower()}: NotYou go away"):
        ask(requests, request_for(Template("me"))[1])


def test_a_request_that_is_deleted_is_no_endless_wait(
    requests: RESTClient, decide: Callable[..., None]
) -> None:
    decide(lambda found: requests.of(REQUESTS).delete(found["metadata"]["name"]))
    with pytest.raises(CredentialsError, match="was deleted"):
        ask(requests, request_for(Template("me"))[1])


def test_a_request_that_nobody_decides_ends_in_time(requests: RESTClient) -> None:
    with pytest.raises(WaitError) as found:
        ask(requests, request_for(Template("me"))[1], timeout_s=0.3)
    assert found.value.reason == "timeout"
