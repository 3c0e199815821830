"""Deltawire: client-go's shared informers as a set of processes. Watch Kubernetes once, handle it everywhere.

The public names, for authors of plug-ins, clients and tests. A name is loaded at its first use, so that importing
``deltawire`` costs next to nothing.

Not here: any logic, and names that are not meant for these authors.
"""

from typing import TYPE_CHECKING, Any

from deltawire.common.version import __version__ as __version__

if TYPE_CHECKING:
    from deltawire.client.aio.clientset import AsyncClientset as AsyncClientset
    from deltawire.client.aio.dynamic_client import AsyncDynamicClient as AsyncDynamicClient
    from deltawire.client.aio.metadata import AsyncMetadataClient as AsyncMetadataClient
    from deltawire.client.config.client_config import ClientConfig as ClientConfig
    from deltawire.client.discovery.discovery_client import DiscoveryClient as DiscoveryClient
    from deltawire.client.dynamic.dynamic_client import DynamicClient as DynamicClient
    from deltawire.client.metadata import MetadataClient as MetadataClient
    from deltawire.client.rest.client import RESTClient as RESTClient
    from deltawire.client.typed.clientset import Clientset as Clientset
    from deltawire.factory import DeletedFinalStateUnknown as DeletedFinalStateUnknown
    from deltawire.factory import DynamicSharedInformerFactory as DynamicSharedInformerFactory
    from deltawire.factory import MetadataSharedInformerFactory as MetadataSharedInformerFactory
    from deltawire.factory import SharedInformerFactory as SharedInformerFactory
    from deltawire.fake import FakeClientset as FakeClientset
    from deltawire.handlers.api import AsyncContext as AsyncContext
    from deltawire.handlers.api import Context as Context
    from deltawire.handlers.api import Dead as Dead
    from deltawire.handlers.api import Event as Event
    from deltawire.handlers.api import Gap as Gap
    from deltawire.handlers.api import Handler as Handler
    from deltawire.handlers.api import Requeue as Requeue
    from deltawire.handlers.api import Retry as Retry

__all__ = [
    "AsyncClientset",
    "AsyncContext",
    "AsyncDynamicClient",
    "AsyncMetadataClient",
    "ClientConfig",
    "Clientset",
    "Context",
    "Dead",
    "DeletedFinalStateUnknown",
    "DiscoveryClient",
    "DynamicClient",
    "DynamicSharedInformerFactory",
    "Event",
    "FakeClientset",
    "Gap",
    "Handler",
    "MetadataClient",
    "MetadataSharedInformerFactory",
    "RESTClient",
    "Requeue",
    "Retry",
    "SharedInformerFactory",
    "__version__",
]

_FACTORIES = (
    "DeletedFinalStateUnknown",
    "DynamicSharedInformerFactory",
    "MetadataSharedInformerFactory",
    "SharedInformerFactory",
)
_HANDLERS = ("AsyncContext", "Context", "Dead", "Event", "Gap", "Handler", "Requeue", "Retry")
_HOMES = {
    "AsyncClientset": "deltawire.client.aio.clientset",
    "AsyncDynamicClient": "deltawire.client.aio.dynamic_client",
    "AsyncMetadataClient": "deltawire.client.aio.metadata",
    "ClientConfig": "deltawire.client.config.client_config",
    "Clientset": "deltawire.client.typed.clientset",
    "FakeClientset": "deltawire.fake",
    "DiscoveryClient": "deltawire.client.discovery.discovery_client",
    "DynamicClient": "deltawire.client.dynamic.dynamic_client",
    "MetadataClient": "deltawire.client.metadata",
    "RESTClient": "deltawire.client.rest.client",
    **dict.fromkeys(_FACTORIES, "deltawire.factory"),
    **dict.fromkeys(_HANDLERS, "deltawire.handlers.api"),
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'deltawire' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
