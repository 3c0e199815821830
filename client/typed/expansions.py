"""What single resources can do beyond the verbs: evict, bind, logs, scale, tokens.

Not here: what their requests look like (``calls``), the same awaited (client/aio).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Unpack

from deltawire.client.object_client import L, ObjectClient, T
from deltawire.client.options import ApplyOptions, DeleteOptions, WriteOptions
from deltawire.client.rest.request import Request
from deltawire.client.tools.objects import metadata
from deltawire.client.typed import calls
from deltawire.client.typed.models import model

if TYPE_CHECKING:
    from lightkube.models import authentication_v1, autoscaling_v1, core_v1


class ScalableClient(ObjectClient[T, L], Generic[T, L]):
    """Resources with a number of replicas."""

    def get_scale(self, name: str) -> "autoscaling_v1.Scale":
        return _scale(calls.scale(self._verbs, name))

    def update_scale(
        self, name: str, scale: "autoscaling_v1.Scale", **options: Unpack[WriteOptions]
    ) -> "autoscaling_v1.Scale":
        return _scale(calls.update_scale(self._verbs, name, scale, options))

    def apply_scale(
        self, name: str, scale: "autoscaling_v1.Scale | Mapping[str, Any]", *, field_manager: str,
        force: bool = False, **options: Unpack[ApplyOptions],
    ) -> "autoscaling_v1.Scale":  # fmt: skip
        return _scale(calls.apply_scale(self._verbs, name, scale, field_manager, force, options))


class ProxiedClient(ObjectClient[T, L], Generic[T, L]):
    """Resources that the API server passes requests on to."""

    def proxy_get(self, name: str, *path: str, scheme: str = "", port: str = "") -> Request:
        """The request for a GET that the API server passes on to the pod, or to one of the service's pods.

        ``port`` is a number or, of a service, a port's name.
        """
        return calls.proxied(self._verbs, name, path, scheme, port)


class PodClient(ProxiedClient["core_v1.Pod", "core_v1.PodList"]):
    """Pods."""

    def evict(self, name: str, **options: Unpack[DeleteOptions]) -> None:
        """A deletion that disruption budgets may refuse: StatusError 429 (`is_too_many_requests`)."""
        calls.evict(self._verbs, name, options).do()

    def bind(self, binding: "core_v1.Binding", **options: Unpack[WriteOptions]) -> None:
        """Put a pod on a node, as a scheduler does; the binding has the pod's name."""
        calls.post_under(self._verbs, metadata(binding, "name"), "binding", binding, options).do()

    def get_logs(self, name: str, **options: Unpack[calls.LogOptions]) -> Request:
        """The request for a container's log: `Request.do` for all of it, `Request.stream` as it grows."""
        return calls.logs(self._verbs, name, options)

    def update_ephemeral_containers(
        self, pod: "core_v1.Pod", **options: Unpack[WriteOptions]
    ) -> "core_v1.Pod":
        """Add debug containers to a running pod: those of ``pod.spec.ephemeralContainers``."""
        return self._object(calls.put_under(self._verbs, pod, "ephemeralcontainers", options))

    def update_resize(self, pod: "core_v1.Pod", **options: Unpack[WriteOptions]) -> "core_v1.Pod":
        """Change the resources of running containers."""
        return self._object(calls.put_under(self._verbs, pod, "resize", options))


class ServiceClient(ProxiedClient["core_v1.Service", "core_v1.ServiceList"]):
    """Services."""


class EventClient(ObjectClient["core_v1.Event", "core_v1.EventList"]):
    """Events."""

    def search(self, obj: Any) -> "core_v1.EventList":
        """The events about an object, raw or typed. Raises ConfigError if it has no name."""
        return self.list(field_selector=calls.about(obj))


class NamespaceClient(ObjectClient["core_v1.Namespace", "core_v1.NamespaceList"]):
    """Namespaces."""

    def finalize(
        self, namespace: "core_v1.Namespace", **options: Unpack[WriteOptions]
    ) -> "core_v1.Namespace":
        """Set ``spec.finalizers``; without any left, a namespace under deletion goes."""
        return self._object(calls.put_under(self._verbs, namespace, "finalize", options))


class ServiceAccountClient(ObjectClient["core_v1.ServiceAccount", "core_v1.ServiceAccountList"]):
    """Service accounts."""

    def create_token(
        self, name: str, request: "authentication_v1.TokenRequest", **options: Unpack[WriteOptions]
    ) -> "authentication_v1.TokenRequest":
        """A token for the account, in the answer's ``status.token``."""
        sent = calls.post_under(self._verbs, name, "token", request, options)
        found: authentication_v1.TokenRequest = sent.do().into(model("authentication_v1", "TokenRequest"))
        return found


def _scale(request: Request) -> "autoscaling_v1.Scale":
    found: autoscaling_v1.Scale = request.do().into(model("autoscaling_v1", "Scale"))
    return found
