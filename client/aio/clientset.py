"""AsyncClientset: typed clients of all groups over one AsyncRESTClient."""

from typing import Any, NoReturn, Self, TypeVar

from deltawire.client.aio.discovery_client import AsyncDiscoveryClient
from deltawire.client.aio.groups import AsyncGroups
from deltawire.client.aio.object_client import AsyncObjectClient
from deltawire.client.aio.rest import AsyncRESTClient, HoldsAsyncREST
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.loading import load
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.rate_limiter import RateLimiter
from deltawire.client.rest.warnings import WarningHandler, log_warnings
from deltawire.client.typed.table import row_of

T = TypeVar("T")


class AsyncClientset(AsyncGroups, HoldsAsyncREST):
    """``await clientset.apps_v1().deployments("default").get("web")``: all groups and versions of the models.

    For tasks of one event loop, which share connections and rate limiter; in another loop connections are made anew. An
    async context manager.
    """

    def __init__(self, rest: AsyncRESTClient) -> None:
        """``AsyncClientset(AsyncRESTClient(clientset.rest))`` shares identity and limits with a sync one."""
        if not isinstance(rest, AsyncRESTClient):
            raise TypeError(
                f"AsyncClientset takes an AsyncRESTClient, not a {type(rest).__name__}: give "
                "AsyncRESTClient(clientset.rest), or use AsyncClientset.from_config(config)"
            )
        super().__init__(rest)
        self.rest = rest

    @classmethod
    def from_config(
        cls,
        config: ClientConfig | None = None,
        *,
        kubeconfig: str | None = None,
        context: str | None = None,
        rate_limiter: RateLimiter | None = None,
        on_warning: WarningHandler = log_warnings,
    ) -> Self:
        """For ``config``, or for what client/config finds (explicit file, in-cluster, home). Raises ConfigError."""
        found = config or load(kubeconfig=kubeconfig, context=context)
        return cls(AsyncRESTClient(RESTClient(found, rate_limiter=rate_limiter, on_warning=on_warning)))

    @property
    def config(self) -> ClientConfig:
        return self.rest.sync.config

    def discovery(self) -> AsyncDiscoveryClient:
        return AsyncDiscoveryClient(self.rest)

    def of(self, object_type: type[T], namespace: str = "") -> AsyncObjectClient[T, Any]:
        """The client of a class: ``clientset.of(Deployment, "default")``. Raises ConfigError."""
        row = row_of(object_type)
        return AsyncObjectClient(self.rest, row, namespace if row.resource.namespaced else "")

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an AsyncClientset holds connections and cannot be pickled: pickle its config and make a new one"
        )
