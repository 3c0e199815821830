"""What discovery asks a server, step by step: what sync and async clients share. Pure.

A function yields what to ask, is sent the answers in the same order, and returns what was found. An answer that is an
error is raised, unless the step can do without it.

Not here: sending (``discovery_client``, client/aio), the forms of the answers (``aggregated``, ``legacy``).
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import msgspec

from deltawire.client.discovery import aggregated, legacy
from deltawire.client.discovery.model import ApiGroup, ApiResource, Discovered, api_version
from deltawire.client.rest.result import Result
from deltawire.client.schema import GroupVersion
from deltawire.client.verbs import R
from deltawire.common.errors import ConfigError, DeltawireError, StatusError, TransportError
from deltawire.common.meta.resources import BUILTIN, ResourceType, find, parse_query

DISCOVERY_TIMEOUT_S = 32.0  # client-go's
# Legacy discovery asks for every group and version; this many requests at once.
PARALLEL_REQUESTS_MAX = 8
# How many times in all a group and version is requested that failed for a reason that may pass.
ROUNDS_MAX = 2


@dataclass(frozen=True, slots=True)
class Ask:
    """One GET. ``accept`` is its media types."""

    path: str
    accept: str = "application/json"


T = TypeVar("T")
Answer = Result | StatusError | TransportError
Steps = Generator[Sequence[Ask], Sequence[Answer], T]


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


def request_of(get: R, ask: Ask) -> R:
    """``get`` is a request that was just begun."""
    return get.abs_path(ask.path).set_header("Accept", ask.accept).timeout(DISCOVERY_TIMEOUT_S)


def version() -> Steps[ServerVersion]:
    return (yield from _one(Ask("/version"))).into(ServerVersion)


def everything() -> Steps[Discovered]:
    """In the aggregated form where both halves are offered in it, else group by group."""
    core = yield from _core()
    groups = yield from _one(Ask("/apis", aggregated.ACCEPT))
    answers = [answer for answer in (core, groups) if answer is not None]
    if all(_is_aggregated(answer) for answer in answers):
        return aggregated.parse(*(answer.raw for answer in answers))
    found = yield from _groups_asked_plainly(core, groups)
    return (yield from _group_by_group(found))


def resources_for(group_version: GroupVersion) -> Steps[tuple[ApiResource, ...]]:
    """One group and version, by one request. A server without core has no core resources."""
    try:
        answer = yield from _one(_ask_for(group_version))
    except StatusError as error:
        if error.code == HTTPStatus.NOT_FOUND and group_version == GroupVersion("", "v1"):
            return ()
        raise
    return legacy.parse_resources(group_version.group, group_version.version, answer.raw)


def openapi_v3() -> Steps[dict[str, str]]:
    index = (yield from _one(Ask("/openapi/v3"))).into(_OpenApiIndex)
    return {name: entry.server_relative_url for name, entry in index.paths.items()}


def openapi_v3_document(group_version: GroupVersion) -> Steps[bytes]:
    root = f"apis/{group_version}" if group_version.group else f"api/{group_version}"
    return (yield from _one(Ask(f"/openapi/v3/{root}"))).raw


def openapi_v2() -> Steps[bytes]:
    return (yield from _one(Ask("/openapi/v2"))).raw


def resolve(text: str) -> Steps[ResourceType]:
    """The resource that ``text`` names. Built-in names ask nothing."""
    builtin = find(text, BUILTIN)
    if builtin is not None:
        return builtin
    if not parse_query(text):
        raise ConfigError("a resource's name is missing")
    discovered = yield from everything()
    found = _find(text, discovered.types)
    if found is not None:
        return found
    missing = ", ".join(sorted(discovered.failures))
    also = f"; these groups did not answer: {missing}" if missing else ""
    raise ConfigError(f"the server has no resource {text!r}{also}", hint="`kubectl api-resources` lists them")


def _one(ask: Ask) -> Steps[Result]:
    (answer,) = yield (ask,)
    if isinstance(answer, Result):
        return answer
    raise answer


def _core() -> Steps[Result | None]:
    """The answer of /api; None from a server without a core group."""
    try:
        return (yield from _one(Ask("/api", aggregated.ACCEPT)))
    except StatusError as error:
        if error.code != HTTPStatus.NOT_FOUND:
            raise
        return None


def _groups_asked_plainly(core: Result | None, groups: Result) -> Steps[tuple[ApiGroup, ...]]:
    """The groups in the legacy form; a half that came aggregated is asked for again."""
    found: tuple[ApiGroup, ...] = ()
    if core is not None:
        found += legacy.parse_core((yield from _plain("/api", core)).raw)
    return found + legacy.parse_groups((yield from _plain("/apis", groups)).raw)


def _plain(path: str, answer: Result) -> Steps[Result]:
    return (yield from _one(Ask(path))) if _is_aggregated(answer) else answer


def _group_by_group(groups: tuple[ApiGroup, ...]) -> Steps[Discovered]:
    wanted = [GroupVersion(group.name, one) for group in groups for one in group.versions]
    found: dict[GroupVersion, tuple[ApiResource, ...] | DeltawireError] = {}
    left = wanted
    for _ in range(ROUNDS_MAX):
        answers = yield [_ask_for(one) for one in left]
        found |= {one: _resources_of(one, answer) for one, answer in zip(left, answers, strict=True)}
        left = [one for one in left if _may_pass(found[one])]
        if not left:
            break
    resources: list[ApiResource] = []
    failures: dict[str, DeltawireError] = {}
    for one in wanted:
        outcome = found[one]
        if isinstance(outcome, DeltawireError):
            failures[api_version(one.group, one.version)] = outcome
        else:
            resources += outcome
    return Discovered(groups, tuple(resources), failures)


def _resources_of(
    group_version: GroupVersion, answer: Answer
) -> tuple[ApiResource, ...] | StatusError | TransportError:
    if not isinstance(answer, Result):
        return answer
    try:
        return legacy.parse_resources(group_version.group, group_version.version, answer.raw)
    except TransportError as error:
        return error


def _ask_for(group_version: GroupVersion) -> Ask:
    group, version = group_version.group, group_version.version
    return Ask(f"/apis/{group}/{version}" if group else f"/api/{version}")


def _is_aggregated(answer: Result) -> bool:
    return aggregated.is_aggregated(answer.headers.get("Content-Type", ""))


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
