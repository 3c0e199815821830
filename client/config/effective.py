"""From a kubeconfig and a context's name to one ClientConfig."""

import logging
from typing import Any

from deltawire.client.config import users
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.identity import NOBODY_ELSE
from deltawire.client.config.kubeconfig import ClusterEntry, E, Kubeconfig, Placed, decoded
from deltawire.client.config.overrides import NO_OVERRIDES, Overrides
from deltawire.client.config.proxies import normal
from deltawire.common.errors import ConfigError

log = logging.getLogger(__name__)

# Narrower than the environment's: client-go accepts no socks5h here.
_PROXY_SCHEMES = ("http", "https", "socks5")


def effective(
    kubeconfig: Kubeconfig,
    *,
    source: str,
    why: str = "",
    context: str = "",
    namespace: str = "",
    overrides: Overrides = NO_OVERRIDES,
) -> ClientConfig:
    """What ``context`` (default: the current one) says, with ``overrides`` in place of it.

    Raises ConfigError with the file and the field.
    """
    name = context or kubeconfig.current_context
    if not name:
        raise ConfigError(
            "no context is chosen: current-context is not set",
            path=source,
            hint=f"choose one of: {', '.join(sorted(kubeconfig.contexts)) or 'there is none'}",
        )
    chosen = _named(kubeconfig.contexts, "context", name, source)
    cluster_name = overrides.cluster or chosen.entry.cluster
    if not cluster_name:
        raise ConfigError("the context names no cluster", path=chosen.where("cluster"))
    cluster = _named(kubeconfig.clusters, "cluster", cluster_name, chosen.where("cluster"))
    settings = overrides.on_server(_server(cluster))
    user_name = overrides.user or chosen.entry.user
    identity: dict[str, Any] = {}
    impersonate = NOBODY_ELSE
    if user_name:
        user = _named(kubeconfig.users, "user", user_name, chosen.where("user"))
        identity, impersonate = users.credentials(user, user_name, cluster), users.impersonation(user)
    identity = overrides.on_identity(identity)
    if settings["host"].startswith("https:"):
        settings |= identity
    elif any(identity.values()):
        # As client-go: a secret is never sent over a connection that anyone can read.
        log.warning("the credentials of %r are not sent: %s is not TLS", user_name, cluster.where())
    return ClientConfig(
        namespace=namespace or chosen.entry.namespace or "default",
        context=name,
        source=f"{source}, context {name!r}",
        why=why,
        impersonate=overrides.impersonate if overrides.impersonate.user else impersonate,
        **settings,
    )


def _server(cluster: Placed[ClusterEntry]) -> dict[str, Any]:
    entry = cluster.entry
    if not entry.server:
        raise ConfigError("the cluster has no server", path=cluster.where("server"))
    if entry.proxy_url:
        if entry.proxy_url.partition("://")[0].lower() not in _PROXY_SCHEMES or "://" not in entry.proxy_url:
            raise ConfigError(
                f"a proxy's URL begins with {', '.join(f'{s}://' for s in _PROXY_SCHEMES)}",
                path=cluster.where("proxy-url"),
            )
        normal(entry.proxy_url, cluster.where("proxy-url"))
    ca_data = decoded(cluster, "certificate-authority-data", entry.certificate_authority_data)
    has_trust = bool(ca_data or entry.certificate_authority or entry.insecure_skip_tls_verify)
    host = entry.server
    if "://" not in host:
        host = f"{'https' if has_trust else 'http'}://{host}"
    scheme, _, rest = host.partition("://")
    host = f"{scheme.lower()}://{rest}"
    return {
        "host": host.partition("?")[0].partition("#")[0].rstrip("/"),
        "ca_data": ca_data,
        "ca_file": "" if ca_data else cluster.resolve(entry.certificate_authority),
        "insecure_skip_tls_verify": entry.insecure_skip_tls_verify,
        "tls_server_name": entry.tls_server_name,
        "proxy_url": entry.proxy_url,
        "disable_compression": entry.disable_compression,
    }


def _named(entries: dict[str, Placed[E]], kind: str, name: str, where: str) -> Placed[E]:
    found = entries.get(name)
    if found is None:
        known = ", ".join(sorted(entries)) or "none"
        raise ConfigError(f"there is no {kind} named {name!r} ({kind}s: {known})", path=where)
    return found
