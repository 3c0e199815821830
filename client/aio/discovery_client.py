"""AsyncDiscoveryClient: `client.discovery.discovery_client` for async code.

Not here: what is asked, and what the answers mean (client/discovery/steps).
"""

import asyncio
from collections.abc import Sequence

from deltawire.client.aio.rest import AsyncRESTClient, checked_async_rest
from deltawire.client.discovery import steps
from deltawire.client.discovery.answers import AnswerFiles
from deltawire.client.discovery.model import ApiGroup, ApiResource, Discovered
from deltawire.client.discovery.queries import preferred_resources
from deltawire.client.discovery.steps import (
    PARALLEL_REQUESTS_MAX,
    Answer,
    Ask,
    ServerVersion,
    Steps,
    T,
    request_of,
)
from deltawire.client.rest.result import Result
from deltawire.client.schema import GroupVersion
from deltawire.common.errors import StatusError, TransportError
from deltawire.common.meta.resources import ResourceType


class AsyncDiscoveryClient:
    """Discovery over one AsyncRESTClient. Each method asks the server; names and errors are DiscoveryClient's.

    Files of ``answers`` are read and written in threads.
    """

    def __init__(self, rest: AsyncRESTClient, answers: AnswerFiles | None = None) -> None:
        self._rest = checked_async_rest(rest, "AsyncDiscoveryClient")
        self._answers = answers

    async def server_version(self) -> ServerVersion:
        return await self._found(steps.version())

    async def server_groups_and_resources(self) -> Discovered:
        """Everything: in the aggregated form where both halves are offered in it, else group by group."""
        return await self._found(steps.everything())

    async def server_groups(self) -> tuple[ApiGroup, ...]:
        """The groups and their versions, core first."""
        return (await self.server_groups_and_resources()).groups

    async def server_resources_for(self, group_version: GroupVersion) -> tuple[ApiResource, ...]:
        """One group and version, by one request. Raises StatusError (404: not served), TransportError."""
        return await self._found(steps.resources_for(group_version))

    async def server_preferred_resources(self) -> tuple[ApiResource, ...]:
        """One entry per group and resource, in the version that the server prefers."""
        return preferred_resources(await self.server_groups_and_resources())

    async def openapi_v3(self) -> dict[str, str]:
        """Where the OpenAPI v3 document of each group and version is."""
        return await self._found(steps.openapi_v3())

    async def openapi_v3_document(self, group_version: GroupVersion) -> bytes:
        """One OpenAPI v3 document as JSON. Raises StatusError (404: the server has none of it)."""
        return await self._found(steps.openapi_v3_document(group_version))

    async def openapi_v2(self) -> bytes:
        """The OpenAPI v2 document as JSON."""
        return await self._found(steps.openapi_v2())

    async def resolve(self, text: str) -> ResourceType:
        """The resource that ``text`` names by kubectl's grammar. Built-in names cost no request. Raises ConfigError."""
        return await self._found(steps.resolve(text))

    async def _found(self, asking: Steps[T]) -> T:
        try:
            asks = next(asking)
            while True:
                asks = asking.send(await self._answers_to(asks))
        except StopIteration as end:
            found: T = end.value
            return found

    async def _answers_to(self, asks: Sequence[Ask]) -> list[Answer]:
        room = asyncio.Semaphore(PARALLEL_REQUESTS_MAX)

        async def answer(ask: Ask) -> Answer:
            async with room:
                try:
                    return await self._get(ask)
                except (StatusError, TransportError) as error:
                    return error

        tasks = [asyncio.create_task(answer(ask)) for ask in asks]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # where one has failed for good
                task.cancel()

    async def _get(self, ask: Ask) -> Result:
        request = request_of(self._rest.get(), ask)
        if self._answers is None:
            return await request.do()
        kept = await asyncio.to_thread(self._answers.get, ask.path, ask.accept)
        if kept is not None:
            request.set_header("If-None-Match", kept.etag)
        try:
            found = await request.do()
        except StatusError as error:
            if kept is None or not kept.is_confirmed_by(error):
                raise
            return kept.result()
        await asyncio.to_thread(self._answers.keep, ask.path, ask.accept, found)
        return found
