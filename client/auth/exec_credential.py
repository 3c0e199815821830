"""The interface of exec plug-ins: their input, and the output that they must print. Pure."""

import base64
import datetime
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from deltawire.client.config import yaml_text
from deltawire.client.config.identity import ExecPlugin
from deltawire.common.errors import CredentialsError


class ExecCluster(msgspec.Struct, frozen=True, rename="kebab", omit_defaults=True):
    """The cluster, for plug-ins that ask for it. ``certificate_authority_data`` is base64 of PEM.

    ``config`` is JSON, ``null`` where the cluster has nothing for plug-ins.
    """

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
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: str | None = None


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str | None = None
    kind: str | None = None
    status: _Status | None = None


# msgspec learns the class here, and not from the first threads that need it at once (client/rest/decode).
msgspec.json.Decoder(_Answer)


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
    """What the plug-in printed, as client-go reads it: JSON, or the first document of YAML.

    Raises CredentialsError; its text never quotes what was printed.
    """
    try:
        answer = msgspec.convert(_tree(printed), _Answer)
    except (ValueError, RecursionError):  # msgspec's and json's errors are ValueErrors
        answer = _Answer()
    if answer == _Answer():
        raise wrong(plugin, "printed something that is no ExecCredential in JSON or YAML")
    if (answer.kind or "ExecCredential") != "ExecCredential":
        raise wrong(plugin, "printed another kind of object than an ExecCredential")
    if answer.api_version != plugin.api_version:
        raise wrong(
            plugin,
            "answered in another version than it was asked in",
            hint=f"the kubeconfig says {plugin.api_version}; see {plugin.where}.apiVersion",
        )
    status = answer.status
    if status is None:
        raise wrong(plugin, "printed no status")
    token = (status.token or "").rstrip(" \t")
    cert, key = status.client_certificate_data or "", status.client_key_data or ""
    if bool(cert) != bool(key):
        raise wrong(plugin, "printed only one of clientCertificateData and clientKeyData")
    if not token and not cert:
        raise wrong(plugin, "printed neither a token nor a client certificate")
    if token and (not token.isascii() or not token.isprintable() or " " in token):
        raise wrong(plugin, "printed a token with characters that no bearer token has")
    try:
        expires_at_s = None if status.expiration_timestamp is None else _time_s(status.expiration_timestamp)
    except ValueError:
        raise wrong(plugin, "printed an expirationTimestamp that is no time as in 2030-01-31T12:00:00Z") from None
    return ExecCredential(token, cert.encode(errors="replace"), key.encode(errors="replace"), expires_at_s)


def _tree(printed: bytes) -> Any:
    """What stands in the text. Raises ValueError."""
    if printed.lstrip().startswith(b"{"):
        # As in Go: what is no UTF-8 is replaced; msgspec would refuse the whole of it.
        return json.loads(printed.decode(errors="replace"), parse_constant=_refuse)
    return yaml_text.load(printed)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)


def _time_s(text: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time, None for Go's zero time, which means never. Raises ValueError."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("no time")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    offset_h, offset_min = int(found[9] or 0), int(found[10] or 0)
    if offset_h > 24 or offset_min > 60:
        raise ValueError("no offset")
    # Python knows no year 0; any time that is over means the same.
    at = datetime.datetime(max(year, 1), month, day, hour, minute, second, tzinfo=datetime.UTC)
    offset_s = (offset_h * 3600 + offset_min * 60) * (-1 if found[8] == "-" else 1)
    at_s = at.timestamp() + float(f"0.{found[7] or 0}") - offset_s
    return None if year and at_s == _ZERO_S else at_s


_ZERO_S = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC).timestamp()


def wrong(plugin: ExecPlugin, what: str, *, hint: str = "") -> CredentialsError:
    """The error for a plug-in that did ``what``."""
    return CredentialsError(
        f"getting credentials: the exec plug-in {plugin.command!r} {what}",
        hint=hint or f"run it by hand; it is named in {plugin.where or 'the configuration'}",
    )
