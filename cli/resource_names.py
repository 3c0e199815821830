"""What custom resources are called, so that each has one informer under all its names.

Built-in resources are known. A custom one answers to a short name, its kind, its plural, with its group and a version
or without; which of these mean the same only the API server can say. What it said is kept in the state folder.
"""

import difflib
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Self

import msgspec

from deltawire.cli.clients import new_client
from deltawire.cli.plugins import places_of
from deltawire.cli.stores import cached_resources
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.config.load import check
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.errors import DeltawireError, TransportError
from deltawire.common.meta.resources import ResourceType, find, learn

log = logging.getLogger(__name__)

FILE = "resources.json"

# How long the start waits for the answers of all clusters, which are asked at once.
ANSWER_S_MAX = 10.0
# Of `LateLook`.
ASK_EVERY_S, ASK_S_MAX = 0.5, 60.0
# How long the end waits for a question under way; its answer is not used.
GRACE_S = 2.0

# What a cluster serves: every resource in each of its versions. Raises DeltawireError.
Discover = Callable[[Plan, str], Iterable[ResourceType]]


def discover(plan: Plan, cluster: str) -> Iterable[ResourceType]:
    from deltawire.client.discovery.discovery_client import DiscoveryClient

    client = new_client(plan, cluster)
    try:
        return DiscoveryClient(client).server_groups_and_resources().types
    finally:
        client.close()


def known(plan: Plan) -> list[ResourceType]:
    """What was learnt in earlier runs on the state folder."""
    try:
        return msgspec.json.decode((plan.store_dir / FILE).read_bytes(), type=list[ResourceType])
    except (OSError, msgspec.MsgspecError):
        return []


def with_resources(
    config: Config,
    *,
    but: str = "",
    discover: Discover = discover,
    note: Callable[[str], object] = log.warning,
    places: Callable[[Config, str], list[str]] = places_of,
) -> Config:
    """The config with the custom resources that it names, and this process knowing them.

    A cluster is asked only for names that are not known yet, the cluster ``but`` never. Where it does not answer within
    `ANSWER_S_MAX`, which is for all of them together, names stay as they are written; so does a name under which
    objects are stored already. What a cluster does not serve is noted with its ``places``: its definition may come
    later. Raises ConfigError where two informers turn out to be one.
    """
    plan = Plan(config)
    types = list(dict.fromkeys([*config.resources, *known(plan)]))
    learn(types)
    unknown = {
        cluster: words - set(cached_resources(plan.store_dir, cluster))
        for cluster, words in _unknown(plan).items()
        if cluster != but
    }
    asked = [cluster for cluster, words in unknown.items() if words]
    for cluster, served in _ask_all(plan, asked, discover, SystemClock()).items():
        words = unknown[cluster]
        if isinstance(served, DeltawireError):
            note(f"cluster {cluster}: cannot find out yet what {', '.join(sorted(words))} is: {served}")
            continue
        for word in words:
            found = find(word, served)
            if found is not None:
                types += [one for one in served if one.name == found.name]
            else:
                note(_unserved(word, cluster, served, places(config, word)))
    types = list(dict.fromkeys(types))
    learn(types)
    config = msgspec.structs.replace(config, resources=types)
    check(config)
    return config


def _ask_all(
    plan: Plan, clusters: list[str], discover: Discover, clock: Clock
) -> dict[str, tuple[ResourceType, ...] | DeltawireError]:
    """What each serves, or why that cannot be known. One that is silent delays the start for `ANSWER_S_MAX` at most."""
    late = TransportError(f"no answer within {ANSWER_S_MAX:g} s", reason="timeout")
    answers: dict[str, tuple[ResourceType, ...] | BaseException] = {}

    def ask(cluster: str) -> None:
        try:
            answers[cluster] = tuple(discover(plan, cluster))
        except BaseException as error:  # raised below, in the caller's thread
            answers[cluster] = error

    # Daemons: a request that hangs ends with the process.
    threads = [threading.Thread(target=ask, args=(c,), name=f"names {c}", daemon=True) for c in clusters]
    for thread in threads:
        thread.start()
    deadline_s = clock.now_s() + ANSWER_S_MAX
    for thread in threads:
        thread.join(max(0.0, deadline_s - clock.now_s()))
    found: dict[str, tuple[ResourceType, ...] | DeltawireError] = {}
    for cluster in clusters:
        answer = answers.get(cluster, late)
        if isinstance(answer, BaseException) and not isinstance(answer, DeltawireError):
            raise answer
        found[cluster] = answer
    return found


def _unserved(word: str, cluster: str, served: Iterable[ResourceType], places: list[str]) -> str:
    """The line for a name that a cluster does not know: where it stands, what is wrong with it, what to do."""
    where = f"{', '.join(places)}: " if places else ""
    names = sorted({one.name for one in served})
    _, _, group = word.partition(".")
    groups = {one.group for one in served}
    what = (
        f"cluster {cluster} knows no group {group!r}, of {word!r}"
        if group and group not in groups
        else f"cluster {cluster} serves no {word!r}"
    )
    close = difflib.get_close_matches(word, names, 1, cutoff=0.75)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"{where}{what}{meant} (mend the name, or apply its CustomResourceDefinition: it is watched from then on)"


class LateLook:
    """Says what a cluster that only just starts does not serve, as soon as it can be asked. A context manager.

    Its thread asks each `ASK_EVERY_S`, for at most `ASK_S_MAX`, and only where some name is not known.
    """

    def __init__(
        self,
        plan: Plan,
        cluster: str,
        note: Callable[[str], object],
        *,
        discover: Discover = discover,
        places: Callable[[Config, str], list[str]] = places_of,
    ) -> None:
        self._plan = plan
        self._cluster = cluster
        self._note = note
        self._discover = discover
        self._places = places
        self._stop = threading.Event()
        self._words = _unknown(plan).get(cluster, set())
        self._thread = threading.Thread(target=self._look, name="names", daemon=True)

    def __enter__(self) -> Self:
        if self._words:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._words:
            self._thread.join(GRACE_S)

    def _look(self) -> None:
        for _ in range(int(ASK_S_MAX / ASK_EVERY_S)):
            try:
                served = tuple(self._discover(self._plan, self._cluster))
            except DeltawireError:
                if self._stop.wait(ASK_EVERY_S):
                    return
                continue
            for word in sorted(self._words):
                if find(word, served) is None:
                    self._tell(word, served)
            return

    def _tell(self, word: str, served: tuple[ResourceType, ...]) -> None:
        try:
            places = self._places(self._plan.config, word)
        except DeltawireError:
            places = []  # the file has changed since: the name alone says enough
        if not self._stop.is_set():
            self._note(_unserved(word, self._cluster, served, places))


def remember(plan: Plan) -> None:
    """Keep what was learnt for the next run, which may find no API server. The state folder is ours."""
    if plan.config.resources:
        (plan.store_dir / FILE).write_bytes(msgspec.json.encode(plan.config.resources))


def _unknown(plan: Plan) -> dict[str, set[str]]:
    """The names of each cluster that this process does not know."""
    unknown: dict[str, set[str]] = {}
    for informer in plan.informers.values():
        if find(informer.resource) is None:
            unknown.setdefault(informer.cluster, set()).add(informer.resource)
    return unknown
