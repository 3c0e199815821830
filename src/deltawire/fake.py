"""Clients for tests: the real ones, over an API server in the same process, with reactors in between.

Here the client side and the API server meet, which know nothing of each other.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NoReturn

from deltawire.apiserver.auth.users import ADMIN, MASTERS
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.dynamic.unstructured import to_unstructured
from deltawire.client.fakes.actions import Action as Action
from deltawire.client.fakes.fake import Fake as Fake
from deltawire.client.fakes.rest import FakeRESTClient
from deltawire.client.fakes.watch import FakeWatch as FakeWatch
from deltawire.client.typed.clientset import Clientset
from deltawire.common.errors import ConfigError

DEFAULT_NAMESPACE = "default"


class FakeClientset(Clientset):
    """A Clientset with a server of its own, without a socket. Close it: it is a context manager.

    ``objects`` are there from the start, their status included: typed ones, dicts, or lists of either. Their
    namespaces are made where they are missing; uids, versions and times are the server's, and owner references
    among them follow. ``fake`` has the actions and the reactors, ``server`` the faults and the request log,
    ``rest`` is for the other clients: ``DynamicClient(clientset.rest)``. Raises ConfigError for an object of a
    kind that is not served, and StatusError for one that the server refuses.
    """

    def __init__(self, *objects: Any, options: ApiServerOptions | None = None) -> None:
        self.fake = Fake()
        options = replace(options or ApiServerOptions(), listen=False)
        self.server = ApiServer(options)
        self.server.start()
        try:
            seeds = list(_flattened(objects))
            self.server.call(lambda core: _seed(core, seeds))
            # An administrator, where the server asks who comes at all.
            is_guarded = options.rbac or bool(options.tokens)
            token = self.server.token_for(ADMIN.name, [MASTERS]) if is_guarded else ""
            config = ClientConfig(self.server.url, token=token, source="a fake")
            super().__init__(FakeRESTClient(config, self.fake, adapter=self.server.adapter))
        except BaseException:
            self.server.stop()
            raise

    @classmethod
    def from_config(cls, *arguments: Any, **options: Any) -> NoReturn:
        raise TypeError("a FakeClientset has a server of its own: write FakeClientset(...)")

    def close(self) -> None:
        """Close the connections and stop the server; open watches end."""
        super().close()
        self.server.stop()


def _flattened(objects: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """The objects one by one as dicts, those of lists with the kind that the list's own has. Raises ConfigError."""
    for obj in objects:
        tree = to_unstructured(obj)
        kind, version = str(tree.get("kind") or ""), tree.get("apiVersion")
        if not kind or not version:
            raise ConfigError("an object for a fake needs apiVersion and kind")
        if kind.endswith("List") and isinstance(tree.get("items"), list):
            known = {} if kind == "List" else {"apiVersion": version, "kind": kind.removesuffix("List")}
            yield from _flattened({**known, **to_unstructured(item)} for item in tree["items"])
        else:
            yield tree


def _seed(core: ApiCore, objects: Iterable[dict[str, Any]]) -> None:
    uids: dict[str, str] = {}
    for obj in objects:
        resource = _resource(core, obj["apiVersion"], obj["kind"])
        meta = obj["metadata"] = dict(obj.get("metadata") or {})
        meta.pop("resourceVersion", None)
        namespace = ""
        if resource.type.namespaced:
            namespace = meta.get("namespace") or DEFAULT_NAMESPACE
            if f"/{namespace}" not in core.store.table("namespaces").records:
                core.create("namespaces", {"metadata": {"name": namespace}})
        owners = meta.get("ownerReferences") or []
        meta["ownerReferences"] = [{**o, "uid": uids.get(o.get("uid", ""), o.get("uid", ""))} for o in owners]
        record = core.create(resource, obj, namespace)
        if meta.get("uid"):
            uids[meta["uid"]] = record.uid
        if obj.get("status") and resource.has_status:
            core.patch(resource, _with_status(obj["status"]), record.name, namespace, subresource="status")


def _with_status(status: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda tree: {**tree, "status": status}


def _resource(core: ApiCore, api_version: str, kind: str) -> Resource:
    for resource in core.catalogue:
        if (resource.type.api_version, resource.type.kind) == (api_version, kind):
            return resource
    raise ConfigError(
        f"{kind} of {api_version} is not served", hint="give its CustomResourceDefinition before it"
    )
