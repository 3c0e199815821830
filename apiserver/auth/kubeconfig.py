"""The kubeconfig with which clients find this server."""

import os
import tempfile
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltawire.apiserver.auth.certificates import ClientCertificate

NAME = "deltawire"


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a user shows who he is: a token, a certificate, or nothing. ``name`` names user and context."""

    name: str = NAME
    token: str = ""
    certificate: ClientCertificate | None = None

    def as_user(self) -> dict[str, str]:
        if self.token:
            return {"token": self.token}
        if self.certificate is None:
            return {}
        return {
            "client-certificate-data": b64encode(self.certificate.certificate_pem).decode(),
            "client-key-data": b64encode(self.certificate.key_pem).decode(),
        }


def kubeconfig(url: str, *credentials: Credentials, ca_pem: bytes = b"") -> dict[str, Any]:
    """One cluster; a user and a context for each of ``credentials``, of which the first is current.

    Over plain http kubectl sends none of them.
    """
    cluster: dict[str, Any] = {"server": url}
    if url.startswith("http://"):
        # Some clients require the TLS fields, also without TLS.
        cluster["insecure-skip-tls-verify"] = True
    if ca_pem:
        cluster["certificate-authority-data"] = b64encode(ca_pem).decode()
    of = credentials or (Credentials(),)
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": each.name, "user": each.as_user()} for each in of],
        "contexts": [
            {"name": each.name, "context": {"cluster": NAME, "user": each.name, "namespace": "default"}}
            for each in of
        ],
        "current-context": of[0].name,
    }


def write_kubeconfig(path: Path, config: dict[str, Any]) -> None:
    """Write it whole or not at all, for its owner only (it may hold a token or a key)."""
    import yaml

    from deltawire.common.meta.yaml_words import quoting

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            # kubectl and PyYAML read the same: a token or a name may look like a number.
            yaml.dump(config, file, Dumper=quoting(yaml.SafeDumper), sort_keys=False)
        Path(draft).replace(path)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise
