"""Clientset: typed clients of all groups over one RESTClient."""

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.loading import load
from deltawire.client.discovery.discovery_client import DiscoveryClient
from deltawire.client.object_client import ObjectClient
from deltawire.client.rest.client import RESTClient, checked_rest
from deltawire.client.rest.rate_limiter import RateLimiter
from deltawire.client.rest.warnings import WarningHandler, log_warnings
from deltawire.client.typed.groups import Groups
from deltawire.client.typed.table import row_of

if TYPE_CHECKING:
    from deltawire.client.aio.clientset import AsyncClientset

T = TypeVar("T")


class Clientset(Groups):
    """``clientset.apps_v1().deployments("default").get("web")``: all groups and versions of the models.

    May be used from many threads; all share one RESTClient, its connections and its rate limiter. Not
    picklable: a spawned process makes its own from the config.
    """

    def __init__(self, rest: RESTClient) -> None:
        super().__init__(checked_rest(rest, "Clientset", "Clientset.from_config(config)"))
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
        return cls(RESTClient(found, rate_limiter=rate_limiter, on_warning=on_warning))

    @cached_property
    def aio(self) -> "AsyncClientset":
        """For async code, with the same identity and limits: ``await clientset.aio.core_v1().pods("ns").get("p")``."""
        from deltawire.client.aio.clientset import AsyncClientset
        from deltawire.client.aio.rest import AsyncRESTClient

        return AsyncClientset(AsyncRESTClient(self.rest))

    @property
    def config(self) -> ClientConfig:
        return self.rest.config

    def discovery(self) -> DiscoveryClient:
        return DiscoveryClient(self.rest)

    def of(self, object_type: type[T], namespace: str = "") -> ObjectClient[T, Any]:
        """The client of a class: ``clientset.of(Deployment, "default")``. Raises ConfigError."""
        row = row_of(object_type)
        return ObjectClient(self.rest, row, namespace if row.resource.namespaced else "")

    def close(self) -> None:
        """Close the idle connections. Open watches go on."""
        self.rest.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Clientset holds connections and cannot be pickled: pickle its config and make a new one"
        )
