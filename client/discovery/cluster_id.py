"""Which cluster this is: state of one cluster must never be applied to another."""

import hashlib
import re
from urllib.parse import urlsplit

import msgspec

from deltawire.client.auth.tls import ca_bytes_of
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.common.errors import TransportError
from deltawire.common.meta.resources import ResourceType

NAMESPACES = ResourceType("", "v1", "namespaces", "Namespace", False)
IDENTITY_NAMESPACE = "kube-system"
# For each wait of the read: the caller holds back a list or a watch until it ends.
READ_TIMEOUT_S = 4.0
ANSWER_BYTES_MAX = 1024 * 1024
# The id names a folder: whatever a server sends must not lead anywhere else.
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_HASH_PREFIX = "a-"


class _Metadata(msgspec.Struct):
    uid: str = ""


class _Namespace(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


_namespace = decoder_of(_Namespace)


def cluster_uid(client: RESTClient) -> str:
    """The uid of namespace kube-system, read over a new connection: so it is of the cluster that answers now.

    Raises StatusError where it may not be read or is not there, TransportError where the server gave no answer that
    can be used: not knowing is not an identity.
    """
    request = client.get().resource(NAMESPACES).namespace_if_scoped("", False).name(IDENTITY_NAMESPACE)
    parts: list[bytes] = []
    with request.retry(NO_RETRIES).read_timeout(READ_TIMEOUT_S).stream() as stream:
        while part := stream.read():
            parts.append(part)
            if sum(map(len, parts)) > ANSWER_BYTES_MAX:
                raise _unusable(f"is longer than {ANSWER_BYTES_MAX} bytes")
    try:
        uid: str = _namespace(b"".join(parts)).metadata.uid
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unusable(f"cannot be read: {error}") from None
    if not _UID.fullmatch(uid) or is_address(uid):
        raise _unusable(f"has the unusable uid {uid[:80]!r}")
    return uid


def address_id(config: ClientConfig) -> str:
    """A hash of the server's URL and CA: the next best thing to an identity. 34 characters, ``a-…``."""
    parts = urlsplit(config.host)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}"
    return _HASH_PREFIX + hashlib.sha256(address.encode() + b"\0" + ca_bytes_of(config)).hexdigest()[:32]


def is_address(cluster_id: str) -> bool:
    """True for an `address_id`, in place of a uid that was never readable."""
    return cluster_id.startswith(_HASH_PREFIX)


def _unusable(what: str) -> TransportError:
    return TransportError(f"namespace {IDENTITY_NAMESPACE} {what}", reason="garbage")
