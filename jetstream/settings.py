"""How to reach NATS, and how what is kept there is named."""

import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from deltawire.common.config.schema import KubernetesLeases, NatsEngine, NatsServers
from deltawire.common.errors import ConfigError
from deltawire.common.home import expanded
from deltawire.common.meta.units import parse_bytes, parse_duration_s
from deltawire.jetstream.credentials import Credentials

# What may be no part of a subject or of a stream's name.
_UNSAFE = re.compile(r"[^A-Za-z0-9-]")


# The newest message of each shard is kept, and one of each must fit in besides: several of the largest objects.
STREAM_BYTES_MIN = 64 * 1024**2
# Less and each pause of an API server changes who leads; more and a lost host is missed for too long.
LEASE_S_MIN, LEASE_S_MAX = 5.0, 600.0


@dataclass(frozen=True)
class NatsSettings:
    """``servers``: URLs, any of the cluster. ``name``: the first word of all that is kept there; two pipelines on one
    NATS need two names. ``replicas``: of each stream and bucket. ``max_bytes``: of one informer's stream.

    ``credentials``: a file of a user's JWT and seed. ``ca``, ``cert``, ``key``: files of PEM, for TLS.
    """

    servers: tuple[str, ...] = field(default=("nats://127.0.0.1:4222",), repr=False)
    name: str = "deltawire"
    replicas: int = 1
    max_bytes: int = 1024**3
    credentials: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """The servers without passwords, for logs."""
        return ", ".join(without_password(server) for server in self.servers)

    def stream(self, *words: str) -> str:
        """The name of a stream: ``deltawire+dev+deployments_apps``."""
        return "+".join(word_of(word) for word in (self.name, *words))

    def subject(self, *words: str) -> str:
        """A subject: ``dw.deltawire.dev.deployments_apps.3``."""
        return ".".join(("dw", *(word_of(word) for word in (self.name, *words))))

    def bucket(self, what: str) -> str:
        """The name of a bucket: ``deltawire_leases``."""
        return f"{self.name}_{what}"

    @property
    def wants_tls(self) -> bool:
        """True if nothing may be sent in the clear."""
        return bool(self.ca or self.cert) or any(server.startswith("tls://") for server in self.servers)

    def tls(self) -> ssl.SSLContext | None:
        """From the files as they are now; None without TLS. Raises OSError, which names the file."""
        if not self.wants_tls:
            return None
        file = self.ca
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert:
                file = f"{self.cert} with {self.key}"
                context.load_cert_chain(self.cert, self.key)
        except OSError as error:
            raise OSError(f"{file} cannot be used: {error.strerror or error}") from None
        return context

    def options(self) -> dict[str, Any]:
        """What nats-py's ``connect`` takes of it. User and password are of all servers, also of those that the named
        ones tell of: they are taken from the first URL that has some."""
        options: dict[str, Any] = {"servers": [without_password(server) for server in self.servers]}
        if self.credentials:
            credentials = Credentials(Path(self.credentials))
            options |= {"user_jwt_cb": credentials.jwt, "signature_cb": credentials.sign}
        login = next((login for login in map(_login_of, self.servers) if login), "")
        if login:
            user, colon, password = login.partition(":")
            if colon:
                options |= {"user": unquote(user), "password": unquote(password)}
            else:
                options["token"] = unquote(user)
        return options


def word_of(text: str) -> str:
    """``text`` as one word of a subject, another for each other text: ``.`` as ``_``, what is not allowed as =hex."""

    def safe(match: re.Match[str]) -> str:
        return "_" if match[0] == "." else "=" + match[0].encode().hex()

    return _UNSAFE.sub(safe, text) or "="


def leases_of(engine: NatsEngine | None) -> KubernetesLeases | None:
    """Where Leases of the clusters decide who leads; None where it is decided on NATS, or nobody leads."""
    leases = engine.leases if engine is not None else "nats"
    if isinstance(leases, str):
        return KubernetesLeases() if leases == "kubernetes" else None
    return leases


def lease_s(leases: KubernetesLeases) -> float:
    """How long a Lease lasts, in seconds. Raises ConfigError."""
    path = "engine.leases.duration"
    seconds = parse_duration_s(leases.duration, path)
    if not LEASE_S_MIN <= seconds <= LEASE_S_MAX:
        raise ConfigError(
            f"{leases.duration!r} is no duration of a Lease", path=path, hint="from 5s to 10m; 15s is usual"
        )
    return seconds


def without_password(url: str) -> str:
    """Without user, password and token, also where they have characters that a URL should not have there."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else url.rpartition("@")[2]


def _login_of(url: str) -> str:
    return url.partition("://")[2].rpartition("@")[0]


def settings_of(engine: NatsServers, where: str = "engine") -> NatsSettings:
    """Of the part ``where`` of a config. Raises ConfigError for a missing file, a certificate without key, what is no
    URL, a Lease that is too short or too long."""

    def file(field: str, named: str | None) -> str | None:
        if named is None:
            return None
        path = expanded(named, where=f"{where}.{field}")
        if not path.is_file():
            raise ConfigError(f"there is no file {path}", path=f"{where}.{field}")
        return str(path)

    for server in map(without_password, engine.servers):
        try:
            host, _ = urlsplit(server).hostname, urlsplit(server).port
        except ValueError:
            host = None
        if not host:
            raise ConfigError(f"{server} is no URL as nats://HOST:PORT", path=f"{where}.servers")
    if isinstance(engine, NatsEngine) and isinstance(engine.leases, KubernetesLeases):
        lease_s(engine.leases)
    bytes_max = parse_bytes(engine.max_bytes, f"{where}.max_bytes")
    if bytes_max < STREAM_BYTES_MIN:
        raise ConfigError(
            f"{engine.max_bytes} is too little: large objects would never fit in, and all would stand still",
            path=f"{where}.max_bytes",
            hint="say 64MiB or more",
        )
    if (engine.cert is None) != (engine.key is None):
        raise ConfigError("a certificate needs its key, and a key its certificate", path=f"{where}.cert")
    return NatsSettings(
        servers=tuple(engine.servers),
        name=engine.name,
        replicas=engine.replicas,
        max_bytes=bytes_max,
        credentials=file("credentials", engine.credentials),
        ca=file("ca", engine.ca),
        cert=file("cert", engine.cert),
        key=file("key", engine.key),
    )
