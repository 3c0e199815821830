"""DiscoveryClient: asks the server what it offers, and finds the resource that a person means."""

from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import msgspec

from deltawire.client.discovery import aggregated, legacy
from deltawire.client.discovery.answers import AnswerFiles
from deltawire.client.discovery.model import ApiGroup, ApiResource, Discovered, api_version
from deltawire.client.discovery.queries import preferred_resources
from deltawire.client.rest.client import RESTClient, checked_rest
from deltawire.client.rest.result import Result
from deltawire.client.schema import GroupVersion
from deltawire.common.errors import ConfigError, DeltawireError, StatusError, TransportError
from deltawire.common.meta.resources import BUILTIN, ResourceType, find, parse_query

DISCOVERY_TIMEOUT_S = 32.0  # client-go's
# Legacy discovery asks for every group and version; this many requests at once.
PARALLEL_REQUESTS_MAX = 8
# How many times in all a group and version is requested that failed for a reason that may pass.
ROUNDS_MAX = 2


class ServerVersion(msgspec.Struct, frozen=True, rename="camel"):
    """The answer of ``/version``: ``git_version`` is what people call the version, ``v1.33.1``."""

    major: str = ""
    minor: str = ""
    git_version: str = ""
    platform: str = ""


class _OpenApiEntry(msgspec.Struct):
    server_relative_url: str = msgspec.field(default="", name="serverRelativeURL")


class _OpenApiIndex(msgspec.Struct):
    paths: dict[str, _OpenApiEntry] = {}


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
        return self._get("/version").into(ServerVersion)

    def server_groups_and_resources(self) -> Discovered:
        """Everything: in the aggregated form where both halves are offered in it, else group by group."""
        core, groups = self._core(), self._get("/apis", accept=aggregated.ACCEPT)
        answers = [answer for answer in (core, groups) if answer is not None]
        if all(aggregated.is_aggregated(answer.headers.get("Content-Type", "")) for answer in answers):
            return aggregated.parse(*(answer.raw for answer in answers))
        found = self._groups_asked_plainly(core, groups)
        return self._group_by_group(found)

    def server_groups(self) -> tuple[ApiGroup, ...]:
        """The groups and their versions, core first."""
        return self.server_groups_and_resources().groups

    def server_resources_for(self, group_version: GroupVersion) -> tuple[ApiResource, ...]:
        """One group and version, by one request. Raises StatusError (404: not served), TransportError.

        A server without core has no core resources.
        """
        try:
            return self._resources(group_version.group, group_version.version)
        except StatusError as error:
            if error.code == HTTPStatus.NOT_FOUND and group_version == GroupVersion("", "v1"):
                return ()
            raise

    def server_preferred_resources(self) -> tuple[ApiResource, ...]:
        """One entry per group and resource, in the version that the server prefers."""
        return preferred_resources(self.server_groups_and_resources())

    def openapi_v3(self) -> dict[str, str]:
        """Where the OpenAPI v3 document of each group and version is: ``{"apis/apps/v1": "/openapi/v3/…"}``."""
        index = self._get("/openapi/v3").into(_OpenApiIndex)
        return {name: entry.server_relative_url for name, entry in index.paths.items()}

    def openapi_v3_document(self, group_version: GroupVersion) -> bytes:
        """One OpenAPI v3 document as JSON. Raises StatusError (404: the server has none of it)."""
        root = f"apis/{group_version}" if group_version.group else f"api/{group_version}"
        path = f"/openapi/v3/{root}"
        return self._get(path).raw

    def openapi_v2(self) -> bytes:
        """The OpenAPI v2 document as JSON (client-go asks for protobuf)."""
        return self._get("/openapi/v2").raw

    def resolve(self, text: str) -> ResourceType:
        """The resource that ``text`` names by kubectl's grammar: ``pods``, ``deploy``, ``widgets.v1.ex.io``.

        Built-in names cost no request. Raises ConfigError for a name that the server does not know, and
        StatusError or TransportError where it cannot be asked.
        """
        builtin = find(text, BUILTIN)
        if builtin is not None:
            return builtin
        if not parse_query(text):
            raise ConfigError("a resource's name is missing")
        discovered = self.server_groups_and_resources()
        found = _find(text, discovered.types)
        if found is not None:
            return found
        missing = ", ".join(sorted(discovered.failures))
        also = f"; these groups did not answer: {missing}" if missing else ""
        raise ConfigError(
            f"the server has no resource {text!r}{also}", hint="`kubectl api-resources` lists them"
        )

    def _core(self) -> Result | None:
        """The answer of /api; None from a server without a core group."""
        try:
            return self._get("/api", accept=aggregated.ACCEPT)
        except StatusError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return None

    def _groups_asked_plainly(self, core: Result | None, groups: Result) -> tuple[ApiGroup, ...]:
        """The groups in the legacy form; a half that came aggregated is asked for again."""
        found: tuple[ApiGroup, ...] = ()
        if core is not None:
            found += legacy.parse_core(self._plain("/api", core).raw)
        return found + legacy.parse_groups(self._plain("/apis", groups).raw)

    def _plain(self, path: str, answer: Result) -> Result:
        return self._get(path) if aggregated.is_aggregated(answer.headers.get("Content-Type", "")) else answer

    def _group_by_group(self, groups: tuple[ApiGroup, ...]) -> Discovered:
        wanted = [(group.name, version) for group in groups for version in group.versions]
        answers: dict[tuple[str, str], tuple[ApiResource, ...] | DeltawireError] = {}
        left = wanted
        with ThreadPoolExecutor(PARALLEL_REQUESTS_MAX, thread_name_prefix="discovery") as pool:
            for _ in range(ROUNDS_MAX):
                answers |= zip(left, pool.map(self._resources_or_failure, left), strict=True)
                left = [key for key in left if _may_pass(answers[key])]
                if not left:
                    break
        resources: list[ApiResource] = []
        failures: dict[str, DeltawireError] = {}
        for group, version in wanted:
            answer = answers[group, version]
            if isinstance(answer, DeltawireError):
                failures[api_version(group, version)] = answer
            else:
                resources += answer
        return Discovered(groups, tuple(resources), failures)

    def _resources_or_failure(
        self, group_version: tuple[str, str]
    ) -> tuple[ApiResource, ...] | DeltawireError:
        try:
            return self._resources(*group_version)
        except (StatusError, TransportError) as error:
            return error

    def _resources(self, group: str, version: str) -> tuple[ApiResource, ...]:
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        return legacy.parse_resources(group, version, self._get(path).raw)

    def _get(self, path: str, *, accept: str = "application/json") -> Result:
        request = self._client.get().abs_path(path).set_header("Accept", accept).timeout(DISCOVERY_TIMEOUT_S)
        if self._answers is None:
            return request.do()
        kept = self._answers.get(path, accept)
        if kept is not None:
            request = request.set_header("If-None-Match", kept.etag)
        try:
            found = request.do()
        except StatusError as error:
            if kept is None or error.code != HTTPStatus.NOT_MODIFIED:
                raise
            return Result(HTTPStatus.OK, {"Content-Type": kept.content_type}, kept.body)
        etag = found.headers.get("ETag", "")
        if etag:
            content_type = found.headers.get("Content-Type", "")
            self._answers.put(path, accept, etag=etag, content_type=content_type, body=found.raw)
        return found


def _may_pass(answer: tuple[ApiResource, ...] | DeltawireError) -> bool:
    return isinstance(answer, DeltawireError) and answer.retryable


def _find(text: str, known: tuple[ResourceType, ...]) -> ResourceType | None:
    """As `find`, but a resource's whole name wins over another's short name."""
    for query in parse_query(text):
        matching = [candidate for candidate in known if query.matches(candidate)]
        for candidate in matching:
            if query.word not in candidate.short_names:
                return candidate
        if matching:
            return matching[0]
    return None
