"""Which cluster this is: state of one cluster must never be applied to another."""

import hashlib
import re
from urllib.parse import urlsplit

import msgspec

from deltawire.client.auth.tls import ca_bytes_of
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient
from deltawire.common.errors import StatusError, TransportError
from deltawire.common.meta.resources import ResourceType

NAMESPACES = ResourceType("", "v1", "namespaces", "Namespace", False)
IDENTITY_NAMESPACE = "kube-system"
# The id names a folder: whatever a server sends must not lead anywhere else.
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


class _Metadata(msgspec.Struct):
    uid: str = ""


class _Namespace(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


def cluster_id(client: RESTClient) -> str:
    """The uid of namespace kube-system; where that may not be read or is not there, `address_id`.

    Raises StatusError and TransportError where the server cannot be asked: not knowing is not an identity.
    """
    try:
        namespace = client.of(NAMESPACES).get(IDENTITY_NAMESPACE).into(_Namespace)
    except StatusError as error:
        if error.is_forbidden or error.is_not_found:
            return address_id(client.config)
        raise
    uid = namespace.metadata.uid
    if not _UID.fullmatch(uid):
        raise TransportError(
            f"namespace {IDENTITY_NAMESPACE} has the unusable uid {uid[:80]!r}", reason="garbage"
        )
    return uid


def address_id(config: ClientConfig) -> str:
    """A hash of the server's URL and CA: the next best thing to an identity. 34 characters, ``a-…``."""
    parts = urlsplit(config.host)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}"
    return "a-" + hashlib.sha256(address.encode() + b"\0" + ca_bytes_of(config)).hexdigest()[:32]
