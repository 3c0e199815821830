"""API clients for commands. Their user agent separates them from the reflectors in a request log."""

from typing import TYPE_CHECKING

from deltawire.common.config.plan import Plan
from deltawire.common.version import __version__

if TYPE_CHECKING:
    from deltawire.client.config.client_config import ClientConfig
    from deltawire.client.rest.client import RESTClient

USER_AGENT = f"deltawire-cli/{__version__}"


def client_config(plan: Plan, cluster: str) -> "ClientConfig":
    """How to reach a cluster of the config. Raises ConfigError."""
    options = plan.clusters[cluster]
    return _config(options.kubeconfig, options.context)


def new_client(plan: Plan, cluster: str) -> "RESTClient":
    """A client that tries each call once: the caller has its own loop, or a person who waits."""
    return _client(client_config(plan, cluster))


def lone_client(kubeconfig: str) -> "RESTClient":
    """As `new_client`, for the cluster of a kubeconfig. Raises ConfigError."""
    return _client(_config(kubeconfig, None))


# Imported when used: requests costs 90 ms, which `up` does not need to begin.


def _config(kubeconfig: str | None, context: str | None) -> "ClientConfig":
    from dataclasses import replace

    from deltawire.client.config.loading import load

    return replace(load(kubeconfig=kubeconfig, context=context), user_agent=USER_AGENT)


def _client(config: "ClientConfig") -> "RESTClient":
    from deltawire.client.rest.client import RESTClient
    from deltawire.client.rest.retry import NO_RETRIES

    return RESTClient(config, retry=NO_RETRIES)
