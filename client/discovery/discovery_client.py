"""DiscoveryClient: asks the server what it offers, and finds the resource that a person means.

Not here: what is asked, and what the answers mean (``steps``), the same awaited (client/aio).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

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
from deltawire.client.rest.client import RESTClient, checked_rest
from deltawire.client.rest.result import Result
from deltawire.client.schema import GroupVersion
from deltawire.common.errors import StatusError, TransportError
from deltawire.common.meta.resources import ResourceType


class DiscoveryClient:
    """Discovery over one RESTClient. Each method asks the server.

    With ``answers`` it need not send again what it sent before and what has not changed since (ETags): the lists of
    groups and resources, the OpenAPI documents.

    All methods raise StatusError and TransportError where the server cannot be asked at all; groups that
    cannot are in ``Discovered.failures``.
    """

    def __init__(self, client: RESTClient, answers: AnswerFiles | None = None) -> None:
        self._client = checked_rest(client, "DiscoveryClient")
        self._answers = answers

    def server_version(self) -> ServerVersion:
        return self._found(steps.version())

    def server_groups_and_resources(self) -> Discovered:
        """Everything: in the aggregated form where both halves are offered in it, else group by group."""
        return self._found(steps.everything())

    def server_groups(self) -> tuple[ApiGroup, ...]:
        """The groups and their versions, core first."""
        return self.server_groups_and_resources().groups

    def server_resources_for(self, group_version: GroupVersion) -> tuple[ApiResource, ...]:
        """One group and version, by one request. Raises StatusError (404: not served), TransportError.

        A server without core has no core resources.
        """
        return self._found(steps.resources_for(group_version))

    def server_preferred_resources(self) -> tuple[ApiResource, ...]:
        """One entry per group and resource, in the version that the server prefers."""
        return preferred_resources(self.server_groups_and_resources())

    def openapi_v3(self) -> dict[str, str]:
        """Where the OpenAPI v3 document of each group and version is: ``{"apis/apps/v1": "/openapi/v3/…"}``."""
        return self._found(steps.openapi_v3())

    def openapi_v3_document(self, group_version: GroupVersion) -> bytes:
        """One OpenAPI v3 document as JSON. Raises StatusError (404: the server has none of it)."""
        return self._found(steps.openapi_v3_document(group_version))

    def openapi_v2(self) -> bytes:
        """The OpenAPI v2 document as JSON (client-go asks for protobuf)."""
        return self._found(steps.openapi_v2())

    def resolve(self, text: str) -> ResourceType:
        """The resource that ``text`` names by kubectl's grammar: ``pods``, ``deploy``, ``widgets.v1.ex.io``.

        Built-in names cost no request. Raises ConfigError for a name that the server does not know, and
        StatusError or TransportError where it cannot be asked.
        """
        return self._found(steps.resolve(text))

    def _found(self, asking: Steps[T]) -> T:
        try:
            asks = next(asking)
            while True:
                asks = asking.send(self._answers_to(asks))
        except StopIteration as end:
            found: T = end.value
            return found

    def _answers_to(self, asks: Sequence[Ask]) -> list[Answer]:
        if len(asks) == 1:
            return [self._answer(asks[0])]
        with ThreadPoolExecutor(PARALLEL_REQUESTS_MAX, thread_name_prefix="discovery") as pool:
            return list(pool.map(self._answer, asks))

    def _answer(self, ask: Ask) -> Answer:
        try:
            return self._get(ask)
        except (StatusError, TransportError) as error:
            return error

    def _get(self, ask: Ask) -> Result:
        request = request_of(self._client.get(), ask)
        if self._answers is None:
            return request.do()
        kept = self._answers.get(ask.path, ask.accept)
        if kept is not None:
            request.set_header("If-None-Match", kept.etag)
        try:
            found = request.do()
        except StatusError as error:
            if kept is None or not kept.is_confirmed_by(error):
                raise
            return kept.result()
        self._answers.keep(ask.path, ask.accept, found)
        return found
