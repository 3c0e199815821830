"""What single resources can do beyond the verbs, awaited: `client.typed.expansions` for async code."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Unpack

from deltawire.client.aio.object_client import AsyncObjectClient, L, T
from deltawire.client.aio.request import AsyncRequest
from deltawire.client.options import ApplyOptions, DeleteOptions, WriteOptions
from deltawire.client.tools.objects import metadata
from deltawire.client.typed import calls
from deltawire.client.typed.models import model

if TYPE_CHECKING:
    from lightkube.models import authentication_v1, autoscaling_v1, core_v1


class AsyncScalableClient(AsyncObjectClient[T, L], Generic[T, L]):
    """Resources with a number of replicas."""

    async def get_scale(self, name: str) -> "autoscaling_v1.Scale":
        return await _scale(calls.scale(self._verbs, name))

    async def update_scale(
        self, name: str, scale: "autoscaling_v1.Scale", **options: Unpack[WriteOptions]
    ) -> "autoscaling_v1.Scale":
        return await _scale(calls.update_scale(self._verbs, name, scale, options))

    async def apply_scale(
        self, name: str, scale: "autoscaling_v1.Scale | Mapping[str, Any]", *, field_manager: str,
        force: bool = False, **options: Unpack[ApplyOptions],
    ) -> "autoscaling_v1.Scale":  # fmt: skip
        return await _scale(calls.apply_scale(self._verbs, name, scale, field_manager, force, options))


class AsyncProxiedClient(AsyncObjectClient[T, L], Generic[T, L]):
    """Resources that the API server passes requests on to."""

    def proxy_get(self, name: str, *path: str, scheme: str = "", port: str = "") -> AsyncRequest:
        """The request for a GET that the API server passes on to the pod, or to one of the service's pods."""
        return calls.proxied(self._verbs, name, path, scheme, port)


class AsyncPodClient(AsyncProxiedClient["core_v1.Pod", "core_v1.PodList"]):
    """Pods."""

    async def evict(self, name: str, **options: Unpack[DeleteOptions]) -> None:
        """A deletion that disruption budgets may refuse: StatusError 429 (`is_too_many_requests`)."""
        await calls.evict(self._verbs, name, options).do()

    async def bind(self, binding: "core_v1.Binding", **options: Unpack[WriteOptions]) -> None:
        """Put a pod on a node, as a scheduler does; the binding has the pod's name."""
        await calls.post_under(self._verbs, metadata(binding, "name"), "binding", binding, options).do()

    def get_logs(self, name: str, **options: Unpack[calls.LogOptions]) -> AsyncRequest:
        """The request for a container's log: ``await ….do()`` for all of it, ``await ….stream()`` as it grows."""
        return calls.logs(self._verbs, name, options)

    async def update_ephemeral_containers(
        self, pod: "core_v1.Pod", **options: Unpack[WriteOptions]
    ) -> "core_v1.Pod":
        """Add debug containers to a running pod: those of ``pod.spec.ephemeralContainers``."""
        return await self._object(calls.put_under(self._verbs, pod, "ephemeralcontainers", options))

    async def update_resize(self, pod: "core_v1.Pod", **options: Unpack[WriteOptions]) -> "core_v1.Pod":
        """Change the resources of running containers."""
        return await self._object(calls.put_under(self._verbs, pod, "resize", options))


class AsyncServiceClient(AsyncProxiedClient["core_v1.Service", "core_v1.ServiceList"]):
    """Services."""


class AsyncEventClient(AsyncObjectClient["core_v1.Event", "core_v1.EventList"]):
    """Events."""

    async def search(self, obj: Any) -> "core_v1.EventList":
        """The events about an object, raw or typed. Raises ConfigError if it has no name."""
        return await self.list(field_selector=calls.about(obj))


class AsyncNamespaceClient(AsyncObjectClient["core_v1.Namespace", "core_v1.NamespaceList"]):
    """Namespaces."""

    async def finalize(
        self, namespace: "core_v1.Namespace", **options: Unpack[WriteOptions]
    ) -> "core_v1.Namespace":
        """Set ``spec.finalizers``; without any left, a namespace under deletion goes."""
        return await self._object(calls.put_under(self._verbs, namespace, "finalize", options))


class AsyncServiceAccountClient(AsyncObjectClient["core_v1.ServiceAccount", "core_v1.ServiceAccountList"]):
    """Service accounts."""

    async def create_token(
        self, name: str, request: "authentication_v1.TokenRequest", **options: Unpack[WriteOptions]
    ) -> "authentication_v1.TokenRequest":
        """A token for the account, in the answer's ``status.token``."""
        answer = await calls.post_under(self._verbs, name, "token", request, options).do()
        found: authentication_v1.TokenRequest = answer.into(model("authentication_v1", "TokenRequest"))
        return found


async def _scale(request: AsyncRequest) -> "autoscaling_v1.Scale":
    found: autoscaling_v1.Scale = (await request.do()).into(model("autoscaling_v1", "Scale"))
    return found
