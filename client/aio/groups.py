"""Groups and their resources for async code. `groups.pyi` beside this file says it method by method."""

from deltawire.client.aio import expansions, object_client
from deltawire.client.typed.groups import Groups, GroupVersion


class AsyncGroupVersion(GroupVersion):
    """One group and version: a method for each of its resources."""

    clients = {  # noqa: RUF012 - never changed
        "CreateClient": object_client.AsyncCreateClient,
        "ObjectClient": object_client.AsyncObjectClient,
        "ScalableClient": expansions.AsyncScalableClient,
        "PodClient": expansions.AsyncPodClient,
        "ServiceClient": expansions.AsyncServiceClient,
        "EventClient": expansions.AsyncEventClient,
        "NamespaceClient": expansions.AsyncNamespaceClient,
        "ServiceAccountClient": expansions.AsyncServiceAccountClient,
    }


class AsyncGroups(Groups):
    """A method for each group and version that the models know: ``apps_v1()``."""

    group_version = AsyncGroupVersion
