"""How a server may end or refuse a watch: one fault of the embedded API server for each of several resources."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deltawire.apiserver.server import ApiServer
from tests.support.patience import wait_until
from tests.support.servers import ask


@dataclass(frozen=True)
class Answer:
    """``is_followed_by_a_list`` is what docs/watches.md says of it. ``times``: so often is it given."""

    kind: str
    code: int
    is_followed_by_a_list: bool
    times: int = 1

    @property
    def is_event(self) -> bool:
        return self.kind == "error-event"


# Plural and group of a resource that anything can be made of → what its watch meets.
ANSWERS = {
    "configmaps": Answer("error-event", 500, True),
    "serviceaccounts": Answer("error-event", 0, True),
    "limitranges": Answer("error-event", 403, True),
    "resourcequotas": Answer("error-event", 429, False),
    "endpoints": Answer("bare-status", 500, True),
    "leases.coordination.k8s.io": Answer("bare-status", 410, True),
    "podtemplates": Answer("error", 403, False, times=2),
}


def give_answers(server: ApiServer) -> None:
    """Let the watches of `ANSWERS` that are open now end so, or end and be answered so when they are opened again."""
    met = {answer.kind: 0 for answer in ANSWERS.values()}
    for resource, answer in ANSWERS.items():
        met[answer.kind] += answer.times
        server.fault(answer.kind, answer.code, resource=resource, verb="watch", count=answer.times)
        if not answer.is_event:
            server.cut(resource)
    wait_until(lambda: _met(server) == met, lambda: f"the faults {met}; met: {_met(server)}", seconds=60)


def _met(server: ApiServer) -> dict[str, int]:
    met: dict[str, int] = ask(server, "GET", "/_deltawire/faults").json()["met"]
    return met


def lists_of(server: ApiServer) -> dict[str, int]:
    """How many lists of each resource of `ANSWERS` were asked for, as pages or as a stream."""
    asked = [
        entry.resource
        for entry in server.requests.entries
        if (entry.verb == "list" and "continue" not in entry.query)
        or (entry.verb == "watch" and "sendInitialEvents" in entry.query)
    ]
    return {resource: asked.count(resource) for resource in ANSWERS}


def expected_lists() -> dict[str, int]:
    """The first list of each, and one more where the answer is followed by one."""
    return {resource: 1 + answer.is_followed_by_a_list for resource, answer in ANSWERS.items()}


def create_one_of_each(create: Callable[[str, dict[str, Any], str], Any], name: str) -> None:
    for resource in ANSWERS:
        create(resource, {"metadata": {"name": name}}, "default")
