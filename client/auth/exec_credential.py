"""The interface of exec plug-ins: what they are told, and what they must print (semantics §26.2-4). Pure."""

import base64
import datetime
from dataclasses import dataclass

import msgspec

from deltawire.client.config.identity import ExecPlugin
from deltawire.common.errors import CredentialsError


class ExecCluster(msgspec.Struct, frozen=True, rename="kebab", omit_defaults=True):
    """The cluster, for plug-ins that ask for it. ``certificate_authority_data`` is base64 of PEM."""

    server: str
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    certificate_authority_data: str = ""
    proxy_url: str = ""
    disable_compression: bool = False
    config: msgspec.Raw | None = None


class _Spec(msgspec.Struct, frozen=True, omit_defaults=True):
    interactive: bool
    cluster: ExecCluster | None = None


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    spec: _Spec
    kind: str = "ExecCredential"


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime.datetime | None = None


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: _Status | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ExecCredential:
    """What a plug-in gave: a token, a certificate with its key (PEM), or both.

    ``expires_at_s`` is wall time, None: good as long as this process lives.
    """

    token: str = ""
    cert: bytes = b""
    key: bytes = b""
    expires_at_s: float | None = None

    def __repr__(self) -> str:
        return f"ExecCredential(expires_at_s={self.expires_at_s})"


def request_of(plugin: ExecPlugin, cluster: ExecCluster, *, is_interactive: bool) -> str:
    """The value of KUBERNETES_EXEC_INFO."""
    told = cluster if plugin.provide_cluster_info else None
    return msgspec.json.encode(_Request(plugin.api_version, _Spec(is_interactive, told))).decode()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def parse(printed: bytes, plugin: ExecPlugin) -> ExecCredential:
    """What the plug-in printed. Raises CredentialsError; its text never quotes what was printed."""
    try:
        answer = msgspec.json.decode(printed, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _wrong(plugin, "printed something that is no ExecCredential in JSON") from None
    if answer.kind != "ExecCredential":
        raise _wrong(plugin, "printed JSON of another kind than ExecCredential")
    if answer.api_version != plugin.api_version:
        raise _wrong(
            plugin,
            "answered in another version than it was asked in",
            hint=f"the kubeconfig says {plugin.api_version}; see {plugin.where}.apiVersion",
        )
    status = answer.status
    if status is None:
        raise _wrong(plugin, "printed no status")
    if bool(status.client_certificate_data) != bool(status.client_key_data):
        raise _wrong(plugin, "printed only one of clientCertificateData and clientKeyData")
    if not status.token and not status.client_certificate_data:
        raise _wrong(plugin, "printed neither a token nor a client certificate")
    if status.token and (not status.token.isascii() or not status.token.isprintable() or " " in status.token):
        raise _wrong(plugin, "printed a token with characters that no bearer token has")
    expires = status.expiration_timestamp
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=datetime.UTC)
    return ExecCredential(
        status.token,
        status.client_certificate_data.encode(),
        status.client_key_data.encode(),
        None if expires is None else expires.timestamp(),
    )


def _wrong(plugin: ExecPlugin, what: str, *, hint: str = "") -> CredentialsError:
    return CredentialsError(
        f"getting credentials: the exec plug-in {plugin.command!r} {what}",
        hint=hint or f"run it by hand; it is named in {plugin.where or 'the configuration'}",
    )
