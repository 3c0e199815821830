"""AsyncScaleClient: the scale of anything that has one, awaited.

Not here: the requests, and what an answer must be (client/scale).
"""

from typing import Any, Protocol, Unpack

from deltawire.client.aio.request import AsyncRequest
from deltawire.client.aio.rest import AsyncRESTClient, checked_async_rest
from deltawire.client.options import PatchOptions, WriteOptions
from deltawire.client.scale import Scale, checked_scale, get_scale, patch_scale, update_scale
from deltawire.client.schema import GroupVersionResource


class AsyncMapper(Protocol):
    """What a scale client needs of a mapper: an `AsyncDeferredRESTMapper`."""

    async def resource_for(self, partial: GroupVersionResource) -> GroupVersionResource: ...


class AsyncScaleClient:
    """``(await scales.get(gvr, "web", "default")).spec.replicas``; names, options and errors are ScaleClient's."""

    def __init__(self, rest: AsyncRESTClient, mapper: AsyncMapper) -> None:
        self._rest = checked_async_rest(rest, "AsyncScaleClient")
        self._mapper = mapper

    async def get(self, resource: GroupVersionResource, name: str, namespace: str = "") -> Scale:
        """``resource`` may leave out its version. Raises NoMatchError, StatusError, TransportError."""
        found = await self._mapper.resource_for(resource)
        return await _scale(get_scale(self._rest.verb, found, name, namespace))

    async def update(
        self,
        resource: GroupVersionResource,
        scale: Scale,
        namespace: str = "",
        **options: Unpack[WriteOptions],
    ) -> Scale:
        """PUT; the resourceVersion in the metadata guards against lost updates (409)."""
        found = await self._mapper.resource_for(resource)
        return await _scale(update_scale(self._rest.verb, found, scale, namespace, options))

    async def patch(
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
        return await _scale(
            patch_scale(self._rest.verb, resource, name, patch, namespace, patch_type, options)
        )


async def _scale(request: AsyncRequest) -> Scale:
    return checked_scale((await request.do()).into(Scale))
