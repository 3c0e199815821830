"""The scale of anything that has one, deployments and custom resources alike: client-go's scale client."""

from collections.abc import Callable
from typing import Any, Unpack

import msgspec

from deltawire.client.object_client import name_of
from deltawire.client.options import PatchOptions, WriteOptions, params_of
from deltawire.client.rest.client import RESTClient, checked_rest
from deltawire.client.rest.request import Request, patch_media_type
from deltawire.client.restmapper.mapper import Mapper
from deltawire.client.schema import GroupVersionResource
from deltawire.client.verbs import R
from deltawire.common.errors import TransportError
from deltawire.common.meta.resources import ResourceType

_VERSIONS = ("autoscaling/v1", "apps/v1beta1", "apps/v1beta2", "extensions/v1beta1")


class ScaleSpec(msgspec.Struct):
    replicas: int = 0


class ScaleStatus(msgspec.Struct, omit_defaults=True):
    """``selector`` is a string in autoscaling/v1, and a map in the versions before it."""

    replicas: int = 0
    selector: Any = None
    targetSelector: str | None = None  # noqa: N815 - the API's name


class Scale(msgspec.Struct, omit_defaults=True):
    """A scale of any version; it is written back in the version that it came in."""

    metadata: dict[str, Any] = {}
    spec: ScaleSpec = msgspec.field(default_factory=ScaleSpec)
    status: ScaleStatus | None = None
    apiVersion: str = "autoscaling/v1"  # noqa: N815 - the API's name
    kind: str = "Scale"

    @property
    def selector(self) -> str:
        """The pods' label selector as text; "" where it is not said."""
        found = self.status.targetSelector or self.status.selector if self.status is not None else None
        if isinstance(found, dict):
            return ",".join(f"{key}={value}" for key, value in sorted(found.items()))
        return found or ""


class ScaleClient:
    """``scales.get(gvr, "web", "default").spec.replicas``: the mapper says which version is preferred."""

    def __init__(self, rest: RESTClient, mapper: Mapper) -> None:
        self._rest = checked_rest(rest, "ScaleClient")
        self._mapper = mapper

    def get(self, resource: GroupVersionResource, name: str, namespace: str = "") -> Scale:
        """``resource`` may leave out its version. Raises NoMatchError, StatusError, TransportError."""
        return _scale(get_scale(self._rest.verb, self._mapper.resource_for(resource), name, namespace))

    def update(
        self,
        resource: GroupVersionResource,
        scale: Scale,
        namespace: str = "",
        **options: Unpack[WriteOptions],
    ) -> Scale:
        """PUT; the resourceVersion in the metadata guards against lost updates (409)."""
        found = self._mapper.resource_for(resource)
        return _scale(update_scale(self._rest.verb, found, scale, namespace, options))

    def patch(
        self,
        resource: GroupVersionResource,
        name: str,
        patch: Any,
        namespace: str = "",
        *,
        patch_type: str = "merge",
        **options: Unpack[PatchOptions],
    ) -> Scale:
        """``resource`` must have its version: the mapper is not asked."""
        return _scale(patch_scale(self._rest.verb, resource, name, patch, namespace, patch_type, options))


# The requests, made and not sent: ``new`` begins one of an HTTP verb.


def get_scale(new: Callable[[str], R], resource: GroupVersionResource, name: str, namespace: str) -> R:
    return _on(new("GET"), resource, name, namespace)


def update_scale(
    new: Callable[[str], R],
    resource: GroupVersionResource,
    scale: Scale,
    namespace: str,
    options: WriteOptions,
) -> R:
    """Raises ConfigError for a scale without a name."""
    request = _on(new("PUT"), resource, name_of(scale), namespace)
    return request.params(params_of(options, WriteOptions)).body(_body(scale))


def patch_scale(
    new: Callable[[str], R],
    resource: GroupVersionResource,
    name: str,
    patch: Any,
    namespace: str,
    patch_type: str,
    options: PatchOptions,
) -> R:
    """Raises ConfigError for an unknown ``patch_type``."""
    request = new("PATCH").set_header("Content-Type", patch_media_type(patch_type))
    return _on(request, resource, name, namespace).params(params_of(options, PatchOptions)).body(patch)


def checked_scale(found: Scale) -> Scale:
    """``found``. Raises TransportError where it is none."""
    if found.kind != "Scale" or found.apiVersion not in _VERSIONS:
        raise TransportError(
            f"the server answered with {found.apiVersion} {found.kind} instead of a Scale", reason="garbage"
        )
    return found


def _on(request: R, resource: GroupVersionResource, name: str, namespace: str) -> R:
    group, version, plural = resource
    request.resource(ResourceType(group, version, plural, "", bool(namespace)))
    return request.namespace_if_scoped(namespace, bool(namespace)).name(name).sub_resource("scale")


def _body(scale: Scale) -> dict[str, Any]:
    """With apiVersion, kind and replicas also where they are the defaults."""
    plain: dict[str, Any] = msgspec.to_builtins(scale)
    return {
        "apiVersion": scale.apiVersion,
        "kind": scale.kind,
        **plain,
        "spec": {"replicas": scale.spec.replicas},
    }


def _scale(request: Request) -> Scale:
    return checked_scale(request.do().into(Scale))
