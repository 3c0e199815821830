"""How to reach NATS, and how what is kept there is named."""

import re
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from deltawire.common.config.schema import NatsEngine
from deltawire.common.errors import ConfigError
from deltawire.common.home import expanded
from deltawire.common.meta.units import parse_bytes

# What may be no part of a subject or of a stream's name.
_UNSAFE = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True)
class NatsSettings:
    """``servers``: URLs, any of the cluster. ``name``: the first word of all that is kept there; two pipelines on one
    NATS need two names. ``replicas``: of each stream and bucket. ``max_bytes``: of one informer's stream.

    ``credentials``: a file of a user's JWT and seed. ``ca``, ``cert``, ``key``: files of PEM, for TLS.
    """

    servers: tuple[str, ...] = ("nats://127.0.0.1:4222",)
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

    def options(self) -> dict[str, Any]:
        """What nats-py's ``connect`` takes of it. Raises OSError and ssl.SSLError for files that cannot be used."""
        options: dict[str, Any] = {"servers": list(self.servers)}
        if self.credentials:
            options["user_credentials"] = self.credentials
        if self.ca or self.cert:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
            options["tls"] = context
        return options


def word_of(text: str) -> str:
    """``text`` as one word of a subject, another for each other text: ``.`` as ``_``, what is not allowed as =hex."""

    def safe(match: re.Match[str]) -> str:
        return "_" if match[0] == "." else "=" + match[0].encode().hex()

    return _UNSAFE.sub(safe, text) or "="


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def settings_of(engine: NatsEngine, where: str = "engine") -> NatsSettings:
    """Of the part ``where`` of a config. Raises ConfigError for a missing file, or a certificate without its key."""

    def file(field: str, named: str | None) -> str | None:
        if named is None:
            return None
        path = expanded(named, where=f"{where}.{field}")
        if not path.is_file():
            raise ConfigError(f"there is no file {path}", path=f"{where}.{field}")
        return str(path)

    if (engine.cert is None) != (engine.key is None):
        raise ConfigError("a certificate needs its key, and a key its certificate", path=f"{where}.cert")
    return NatsSettings(
        servers=tuple(engine.servers),
        name=engine.name,
        replicas=engine.replicas,
        max_bytes=parse_bytes(engine.max_bytes),
        credentials=file("credentials", engine.credentials),
        ca=file("ca", engine.ca),
        cert=file("cert", engine.cert),
        key=file("key", engine.key),
    )
