"""Asking the cluster to sign a request: the CSR API of certificates.k8s.io/v1."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.watch import DELETED, WatchEvent
from deltawire.client.tools.until import until_with_sync
from deltawire.common.clock import Clock
from deltawire.common.errors import CredentialsError
from deltawire.common.meta.resources import ResourceType

REQUESTS = ResourceType(
    "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", False
)
ISSUE_TIMEOUT_S = 15 * 60.0


def request_certificate(
    client: RESTClient,
    csr: bytes,
    *,
    signer_name: str,
    usages: Sequence[str],
    requested_s: int | None = None,
    timeout_s: float = ISSUE_TIMEOUT_S,
    clock: Clock | None = None,
) -> bytes:
    """The signed certificate with its chain, in PEM. ``csr`` is PEM, ``requested_s`` the lifetime asked for.

    Raises CredentialsError where the request is denied, fails or is replaced, WaitError where nobody decides
    in time, StatusError and TransportError.
    """
    spec: dict[str, Any] = {
        "request": base64.b64encode(csr).decode(),
        "signerName": signer_name,
        "usages": list(usages),
    }
    if requested_s is not None:
        spec["expirationSeconds"] = requested_s
    body = {
        "apiVersion": f"{REQUESTS.group}/{REQUESTS.version}",
        "kind": REQUESTS.kind,
        "metadata": {"generateName": "csr-"},
        "spec": spec,
    }
    requests = client.of(REQUESTS)
    request = requests.create(body).into()
    made = request["metadata"]

    def is_issued(event: WatchEvent[Any]) -> bool:
        _refuse_failure(event, made)
        return bool((event.object.get("status") or {}).get("certificate"))

    found = until_with_sync(
        requests,
        is_issued,
        field_selector=f"metadata.name={made['name']}",
        # It may be decided, or deleted, before the first list.
        known=[request],
        timeout_s=timeout_s,
        clock=clock,
    )
    try:
        return base64.b64decode(found.object["status"]["certificate"], validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise CredentialsError(f"the certificate of {made['name']} is not base64") from None


def _refuse_failure(event: WatchEvent[Any], made: dict[str, Any]) -> None:
    name = made["name"]
    if event.type == DELETED:
        raise CredentialsError(f"the signing request {name} was deleted before it was decided")
    if event.object["metadata"].get("uid") != made.get("uid"):
        raise CredentialsError(f"the signing request {name} was replaced by another of that name")
    for condition in (event.object.get("status") or {}).get("conditions") or []:
        if condition.get("type") in ("Denied", "Failed"):
            why = " ".join(f"{condition.get('reason', '')} {condition.get('message', '')}".split())[:200]
            raise CredentialsError(f"the signing request {name} is {condition['type'].lower()}: {why}")
