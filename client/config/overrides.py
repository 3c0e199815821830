"""What a caller says instead of the configuration that was found."""

from dataclasses import dataclass
from typing import Any

from deltawire.client.config.identity import NOBODY_ELSE, Impersonation


@dataclass(frozen=True, slots=True, repr=False)
class Overrides:
    """Empty fields leave the found configuration alone. Paths are meant from the current folder.

    ``cluster`` and ``user`` name entries of the kubeconfig and must exist there. A pod's own configuration
    takes the other fields, too.
    """

    cluster: str = ""
    user: str = ""
    server: str = ""
    tls_server_name: str = ""
    ca_file: str = ""
    ca_data: bytes = b""
    insecure_skip_tls_verify: bool = False
    proxy_url: str = ""
    token: str = ""
    username: str = ""
    password: str = ""
    cert_file: str = ""
    key_file: str = ""
    impersonate: Impersonation = NOBODY_ELSE

    def __repr__(self) -> str:
        named = [name for name in self.__slots__ if getattr(self, name) and name != "impersonate"]
        return f"Overrides({', '.join(named)})"

    def on_server(self, settings: dict[str, Any]) -> dict[str, Any]:
        """``settings`` as fields of a ClientConfig, with what is said here.

        A given server forgets the name that the old one's certificate had; a given CA, or none, replaces
        everything that was said about trust.
        """
        changed: dict[str, Any] = {}
        if self.server:
            scheme = "" if "://" in self.server else "https://"
            changed |= {"host": scheme + self.server.rstrip("/"), "tls_server_name": ""}
        if self.tls_server_name:
            changed["tls_server_name"] = self.tls_server_name
        if self.proxy_url:
            changed["proxy_url"] = self.proxy_url
        if self.ca_file or self.ca_data or self.insecure_skip_tls_verify:
            changed |= {
                "ca_data": self.ca_data,
                "ca_file": "" if self.ca_data else self.ca_file,
                "insecure_skip_tls_verify": self.insecure_skip_tls_verify,
            }
        return settings | changed

    def on_identity(self, settings: dict[str, Any]) -> dict[str, Any]:
        """As `on_server`: a token or a user name replaces both, a certificate replaces both its forms."""
        changed: dict[str, Any] = {}
        if self.token or self.username:
            changed |= {
                "token": self.token,
                "token_file": "",
                "username": self.username,
                "password": self.password,
            }
        if self.cert_file or self.key_file:
            changed |= {
                "cert_file": self.cert_file,
                "cert_data": b"",
                "key_file": self.key_file,
                "key_data": b"",
            }
        return settings | changed


NO_OVERRIDES = Overrides()
