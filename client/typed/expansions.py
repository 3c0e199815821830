"""What single resources can do beyond the verbs: evict, bind, logs, scale, tokens."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Unpack

from deltawire.client.object_client import L, ObjectClient, T, to_mapping
from deltawire.client.options import (
    ApplyOptions,
    DeleteOptions,
    PatchOptions,
    WriteOptions,
    delete_body,
    params_of,
)
from deltawire.client.rest.request import Request
from deltawire.client.tools.objects import field, metadata
from deltawire.client.typed.models import model
from deltawire.common.errors import ConfigError

if TYPE_CHECKING:
    from lightkube.models import authentication_v1, autoscaling_v1, core_v1


class ScalableClient(ObjectClient[T, L], Generic[T, L]):
    """Resources with a number of replicas."""

    def get_scale(self, name: str) -> "autoscaling_v1.Scale":
        return _scale(self._request("GET", name, "scale"))

    def update_scale(
        self, name: str, scale: "autoscaling_v1.Scale", **options: Unpack[WriteOptions]
    ) -> "autoscaling_v1.Scale":
        request = self._request("PUT", name, "scale").params(params_of(options, WriteOptions))
        return _scale(request.body(scale))

    def apply_scale(
        self, name: str, scale: "autoscaling_v1.Scale | Mapping[str, Any]", *, field_manager: str,
        force: bool = False, **options: Unpack[ApplyOptions],
    ) -> "autoscaling_v1.Scale":  # fmt: skip
        body = to_mapping(scale, "autoscaling/v1", "Scale")
        params: PatchOptions = {"field_manager": field_manager, "force": force, **options}
        request = self._request("PATCH", name, "scale").params(params_of(params, PatchOptions)).body(body)
        return _scale(request.set_header("Content-Type", "application/apply-patch+yaml"))


class ProxiedClient(ObjectClient[T, L], Generic[T, L]):
    """Resources that the API server passes requests on to."""

    def proxy_get(self, name: str, *path: str, scheme: str = "", port: str = "") -> Request:
        """The request for a GET that the API server passes on to the pod, or to one of the service's pods.

        ``port`` is a number or, of a service, a port's name.
        """
        target = f"{scheme}:{name}:{port}" if scheme else f"{name}:{port}" if port else name
        return self._request("GET", target, "proxy").suffix(*path)


class PodClient(ProxiedClient["core_v1.Pod", "core_v1.PodList"]):
    """Pods."""

    def evict(self, name: str, **options: Unpack[DeleteOptions]) -> None:
        """A deletion that disruption budgets may refuse: StatusError 429 (`is_too_many_requests`)."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": self._namespace},
        }
        asked = delete_body(options)
        if asked is not None:
            body["deleteOptions"] = asked
        # A 429 here is an answer, not a busy server: sending it again at once cannot help.
        self._request("POST", name, "eviction").max_retries(0).body(body).do()

    def bind(self, binding: "core_v1.Binding", **options: Unpack[WriteOptions]) -> None:
        """Put a pod on a node, as a scheduler does; the binding has the pod's name."""
        name = (binding.metadata.name if binding.metadata else None) or ""
        self._request("POST", name, "binding").params(params_of(options, WriteOptions)).body(binding).do()

    def get_logs(
        self,
        name: str,
        *,
        container: str = "",
        follow: bool = False,
        previous: bool = False,
        timestamps: bool = False,
        since_s: int | None = None,
        since_time: str = "",
        tail_lines: int | None = None,
        limit_bytes: int | None = None,
    ) -> Request:
        """The request for a container's log: `Request.do` for all of it, `Request.stream` as it grows.

        ``since_time`` is RFC 3339. ``container`` may be left out where a pod has one.
        """
        request = self._request("GET", name, "log").set_header("Accept", "*/*")
        flags = {"follow": follow, "previous": previous, "timestamps": timestamps}
        if follow:
            request.read_timeout(None)
        return request.params(
            {
                "container": container,
                **{flag: True for flag, is_set in flags.items() if is_set},
                "sinceSeconds": since_s,
                "sinceTime": since_time,
                "tailLines": tail_lines,
                "limitBytes": limit_bytes,
            }
        )

    def update_ephemeral_containers(
        self, pod: "core_v1.Pod", **options: Unpack[WriteOptions]
    ) -> "core_v1.Pod":
        """Add debug containers to a running pod: those of ``pod.spec.ephemeralContainers``."""
        return self._put(pod, "ephemeralcontainers", options)

    def update_resize(self, pod: "core_v1.Pod", **options: Unpack[WriteOptions]) -> "core_v1.Pod":
        """Change the resources of running containers."""
        return self._put(pod, "resize", options)

    def _put(self, pod: "core_v1.Pod", subresource: str, options: WriteOptions) -> "core_v1.Pod":
        name = (pod.metadata.name if pod.metadata else None) or ""
        request = self._request("PUT", name, subresource).params(params_of(options, WriteOptions))
        return self._object(request.body(pod))


class ServiceClient(ProxiedClient["core_v1.Service", "core_v1.ServiceList"]):
    """Services."""


class EventClient(ObjectClient["core_v1.Event", "core_v1.EventList"]):
    """Events."""

    def search(self, obj: Any) -> "core_v1.EventList":
        """The events about an object, raw or typed. Raises ConfigError if it has no name.

        What it does not say is not asked for: items of a typed list have no kind, but a uid. Events about an
        object without a namespace stand in ``default``.
        """
        return self.list(field_selector=_about(obj))


class NamespaceClient(ObjectClient["core_v1.Namespace", "core_v1.NamespaceList"]):
    """Namespaces."""

    def finalize(
        self, namespace: "core_v1.Namespace", **options: Unpack[WriteOptions]
    ) -> "core_v1.Namespace":
        """Set ``spec.finalizers``; without any left, a namespace under deletion goes."""
        name = (namespace.metadata.name if namespace.metadata else None) or ""
        request = self._request("PUT", name, "finalize").params(params_of(options, WriteOptions))
        return self._object(request.body(namespace))


class ServiceAccountClient(ObjectClient["core_v1.ServiceAccount", "core_v1.ServiceAccountList"]):
    """Service accounts."""

    def create_token(
        self, name: str, request: "authentication_v1.TokenRequest", **options: Unpack[WriteOptions]
    ) -> "authentication_v1.TokenRequest":
        """A token for the account, in the answer's ``status.token``."""
        sent = self._request("POST", name, "token").params(params_of(options, WriteOptions)).body(request)
        found: authentication_v1.TokenRequest = sent.do().into(model("authentication_v1", "TokenRequest"))
        return found


def _about(obj: Any) -> str:
    """The field selector for events about ``obj``."""
    wanted = {
        "name": metadata(obj, "name"),
        "namespace": metadata(obj, "namespace"),
        "kind": str(field(obj, "kind") or ""),
        "uid": metadata(obj, "uid"),
    }
    if not wanted["name"]:
        raise ConfigError("an object needs a name to have events")
    return ",".join(f"involvedObject.{name}={value}" for name, value in wanted.items() if value)


def _scale(request: Request) -> "autoscaling_v1.Scale":
    found: autoscaling_v1.Scale = request.do().into(model("autoscaling_v1", "Scale"))
    return found
