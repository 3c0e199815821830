"""Is the cache what the API server has? One look, and looks until the answer is settled.

Under churn every single look finds differences that are on their way; what counts is a key whose stored
version stands still while the server's is another one.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import msgspec

from deltawire.cli.clients import new_client
from deltawire.cli.stores import open_cache
from deltawire.client.rest.decode import decoder_of
from deltawire.common.config.plan import ALL_NAMESPACES, InformerPlan, Plan
from deltawire.common.errors import DeltawireError
from deltawire.common.meta.keys import display_key, key_of

LIST_LIMIT = 500
# Between two looks: long enough that a change which is on its way has come.
LOOK_EVERY_S = 1.0
# Where the server stands still, a look is repeated sooner.
LOOK_AGAIN_S = 0.25

State = tuple[str, str]  # uid, resourceVersion
NONE: State = ("", "")


@dataclass(frozen=True, slots=True)
class Difference:
    """A key whose stored (uid, version) is not the server's; `NONE` where there is none."""

    informer: str
    key: str
    stored: State
    served: State

    def __str__(self) -> str:
        what = f"{self.informer} {display_key(self.key)}"
        if self.stored == NONE:
            return f"{what}: at {self.served[1]} in the API server, not in the cache"
        if self.served == NONE:
            return f"{what}: at {self.stored[1]} in the cache, not in the API server"
        return f"{what}: at {self.stored[1]} in the cache, at {self.served[1]} in the API server"


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Item(msgspec.Struct):
    metadata: _Metadata


class _ListMetadata(msgspec.Struct, rename="camel"):
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct):
    metadata: _ListMetadata = msgspec.field(default_factory=_ListMetadata)
    items: list[_Item] = []


_decode = decoder_of(_List)


def compare(plan: Plan) -> list[Difference]:
    """Every informer's cache beside a list from its API server. Raises DeltawireError if either cannot be read."""
    found: list[Difference] = []
    for informer in plan.informers.values():
        stored = _stored(plan, informer)
        served = _served(plan, informer)
        for key in sorted(stored.keys() | served.keys()):
            mine, theirs = stored.get(key, NONE), served.get(key, NONE)
            if mine != theirs:
                found.append(Difference(informer.name, key, mine, theirs))
    return found


def _stored(plan: Plan, informer: InformerPlan) -> dict[str, State]:
    cache = open_cache(plan.store_dir, informer.cluster, informer.resource, plan.shards)
    if cache is None:
        return {}
    with cache:
        return {row.key: (row.uid, row.version) for row in cache.rows()}


def _served(plan: Plan, informer: InformerPlan) -> dict[str, State]:
    from deltawire.client.discovery.discovery_client import DiscoveryClient

    client = new_client(plan, informer.cluster)
    try:
        resource = DiscoveryClient(client).resolve(informer.resource)
        served: dict[str, State] = {}
        for stream in informer.streams:
            namespace = "" if stream == ALL_NAMESPACES else stream
            after = ""
            while True:
                params: dict[str, str | int | float | bool | None] = {
                    "limit": LIST_LIMIT,
                    "continue": after,
                    "labelSelector": informer.options.label_selector,
                    "fieldSelector": informer.options.field_selector,
                }
                page = _decode(client.list_page(resource, namespace, params))
                for item in page.items:
                    m = item.metadata
                    served[key_of(m.namespace, m.name)] = (m.uid, m.resource_version)
                after = page.metadata.continue_
                if not after:
                    break
        return served
    except msgspec.MsgspecError as error:
        raise DeltawireError(f"the list of {informer.name} cannot be read: {error}") from None
    finally:
        client.close()


@dataclass(slots=True)
class Settling:
    """Looks again and again until nothing differs any more, or ``deadline_s`` (an instant) has come.

    ``is_still``: the server does not change any more, so that any difference counts; else only those whose
    stored state has not moved between two looks. The looks run elsewhere (``submit``), so that the
    supervisor's loop goes on.
    """

    look: Callable[[], list[Difference]]
    submit: Callable[[Callable[[], list[Difference]]], "Future[list[Difference]]"]
    deadline_s: float
    is_still: bool
    differences: list[Difference] = field(default_factory=list)
    problem: str = ""
    ended_at_s: float | None = None
    _future: "Future[list[Difference]] | None" = None
    _next_look_s: float = float("-inf")
    _previous: dict[tuple[str, str], State] | None = None

    def turn(self, now_s: float) -> bool:
        """True when it is settled: `differences` and `problem` say how."""
        if self.ended_at_s is not None:
            return True
        if self._future is None:
            if now_s >= self._next_look_s:
                self._future = self.submit(self.look)
            return False
        if not self._future.done():
            return False
        future, self._future = self._future, None
        self._take(future, now_s)
        if self.ended_at_s is None and now_s >= self.deadline_s:
            self.ended_at_s = now_s
        self._next_look_s = now_s + (LOOK_AGAIN_S if self.is_still else LOOK_EVERY_S)
        return self.ended_at_s is not None

    def _take(self, future: "Future[list[Difference]]", now_s: float) -> None:
        try:
            found = future.result()
        except DeltawireError as error:
            self.problem = str(error)
            return
        self.problem = ""
        previous = self._previous
        self._previous = {(d.informer, d.key): d.stored for d in found}
        if self.is_still or not found:
            self.differences = found
        elif previous is None:
            self.differences = found
            return
        else:
            self.differences = [d for d in found if previous.get((d.informer, d.key)) == d.stored]
        if not self.differences:
            self.ended_at_s = now_s
