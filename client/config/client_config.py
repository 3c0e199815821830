"""One value that says how to reach an API server."""

from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit

from deltawire.client.config.identity import NOBODY_ELSE, ExecPlugin, Impersonation, OidcProvider

# Credentials: named in a repr, never shown.
_SECRET = frozenset({"token", "password", "key_data"})
_LONG = frozenset({"ca_data", "cert_data"})

CONNECT_TIMEOUT_S = 10.0
# The API server gives up on an ordinary request after 60 s by itself; a few seconds more let its answer win.
READ_TIMEOUT_S = 65.0


@dataclass(frozen=True, slots=True, repr=False)
class ClientConfig:
    """Address, identity and trust of one API server. Frozen, picklable; its repr shows no secret.

    ``host`` is a URL; a path in it is kept as a prefix. Data wins over the file of the same thing; a token
    file wins over an inline token once it can be read; an exec plug-in or an OIDC provider
    is used only if there is no token, no user name and no certificate. ``exec_allowed`` are the
    plug-ins that may be run, by name or by absolute path; None is all, () none. ``source`` says in words
    where the values were taken from, ``why`` why there. ``read_timeout_s`` bounds the silence inside an
    ordinary call, None waits for ever; watches take theirs with the call.
    """

    host: str
    ca_file: str = ""
    ca_data: bytes = b""
    cert_file: str = ""
    cert_data: bytes = b""
    key_file: str = ""
    key_data: bytes = b""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = ""
    exec_plugin: ExecPlugin | None = None
    exec_allowed: tuple[str, ...] | None = None
    oidc: OidcProvider | None = None
    impersonate: Impersonation = NOBODY_ELSE
    proxy_url: str = ""
    disable_compression: bool = False
    namespace: str = "default"
    context: str = ""
    source: str = "given in code"
    why: str = ""
    user_agent: str = ""
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    read_timeout_s: float | None = field(default=READ_TIMEOUT_S)

    def __repr__(self) -> str:
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            if value == item.default:
                continue
            if item.name in _SECRET:
                value = "<redacted>"
            elif item.name in _LONG:
                value = f"<{len(value)} bytes>"
            elif item.name in ("host", "proxy_url"):
                value = without_userinfo(value)
            shown.append(f"{item.name}={value!r}")
        return f"ClientConfig({', '.join(shown)})"

    @property
    def identity(self) -> str:
        """The kind of the credentials and the impersonated user, as text without a secret."""
        if self.token_file:
            found = f"a token from {self.token_file}"
        elif self.token:
            found = "a token"
        elif self.username:
            found = f"the user name {self.username!r} with a password"
        elif self.cert_data or self.cert_file:
            found = f"a client certificate{f' from {self.cert_file}' if self.cert_file else ''}"
        elif self.exec_plugin is not None:
            found = f"the exec plug-in {self.exec_plugin.command!r}"
        elif self.oidc is not None:
            found = f"OIDC tokens of {without_userinfo(self.oidc.issuer_url)}"
        else:
            found = "no credentials"
        return f"{found}, acting as {self.impersonate.user!r}" if self.impersonate.user else found

    @property
    def is_tls(self) -> bool:
        return self.host.lower().startswith("https:")


def without_userinfo(url: str) -> str:
    """``url`` without the user name and password that may stand before its host; nothing of what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "<no URL>"
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
