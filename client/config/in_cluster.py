"""The configuration of a pod: its service account and the API server's address."""

from collections.abc import Mapping
from pathlib import Path

from deltawire.client.config.client_config import ClientConfig
from deltawire.common.errors import ConfigError

SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def is_possible(env: Mapping[str, str], folder: Path = SERVICE_ACCOUNT_DIR) -> bool:
    """True if this process seems to run in a pod that may talk to its API server."""
    has_address = bool(env.get("KUBERNETES_SERVICE_HOST") and env.get("KUBERNETES_SERVICE_PORT"))
    return has_address and (folder / "token").is_file()


def in_cluster(
    env: Mapping[str, str], *, namespace: str = "", folder: Path = SERVICE_ACCOUNT_DIR
) -> ClientConfig:
    """The service account's configuration; its token is read again as the cluster rotates it.

    Namespace: ``namespace``, else $POD_NAMESPACE, else the service account's, else ``default``.
    Raises ConfigError outside of a pod.
    """
    host, port = env.get("KUBERNETES_SERVICE_HOST", ""), env.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise ConfigError(
            "not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set"
        )
    token = folder / "token"
    if not token.is_file():
        raise ConfigError(
            f"the service account's token {token} is not there",
            hint="does the pod say automountServiceAccountToken: false?",
        )
    ca = folder / "ca.crt"
    return ClientConfig(
        host=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        # Without the file the machine's own authorities are trusted, as client-go does.
        ca_file=str(ca) if ca.is_file() else "",
        token_file=str(token),
        namespace=namespace or env.get("POD_NAMESPACE", "") or _namespace(folder) or "default",
        source="the service account of this pod (in-cluster)",
        why="no kubeconfig and no context is given, $KUBECONFIG is not set, and this is a pod",
    )


def _namespace(folder: Path) -> str:
    try:
        return (folder / "namespace").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""  # the file is a convenience, not a credential
