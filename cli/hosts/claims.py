"""Whether all is ready over all hosts, and if not, why: by what the worker of each place says (guarantees P8). Pure.

A claim is as good as its slowest part: each place that has shards needs a host, whose worker answers, has looked
lately, and says that its part is synced and fresh. Who does not answer is not ready.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from deltawire.cli.hosts.places import Place
from deltawire.cli.hosts.queues import Queues
from deltawire.cli.supervisor.shape import GroupShape
from deltawire.jetstream.hosts import words_for
from deltawire.jetstream.moves import Here
from deltawire.jetstream.states import GroupState, InformerState, WorkerState


class PlaceClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A place's part of an informer. ``why`` it is not synced or not fresh; figures are None where they are not known:
    ``lag_ms`` of its last batch, ``pending``: changes that the slowest group has still to acknowledge,
    ``behind_s``: how old what is complete is, ``still_s``: for how long it has come no further,
    ``queued``: changes that wait in that host's broker, of a queue on NATS."""

    host: str = ""
    node: str = ""
    synced: bool = False
    fresh: bool = False
    why: str = ""
    lag_ms: float | None = None
    pending: int | None = None
    behind_s: float | None = None
    still_s: float | None = None
    queued: int | None = None


class InformerClaim(msgspec.Struct, frozen=True, kw_only=True):
    """An informer over all hosts; ``places``: each that has shards; ``stuck``: why its queue on NATS stands still, by
    the brokers that lead it or have its shards."""

    ready: bool = False
    stuck: list[str] = []
    places: dict[str, PlaceClaim] = {}


class GroupClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A handler over all workers. ``why`` it is not ``ready``: informers and places say themselves why they are not.
    ``pending``, ``behind_s`` (how old what it has handled all of is, at the slowest worker): None while one of the
    workers is not known."""

    ready: bool = False
    why: str = ""
    pending: int | None = None
    behind_s: float | None = None


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """``unready``: a line for each reason. ``behind_s``: all was so that long ago, by the slowest part; None: not
    known."""

    ready: bool = False
    unready: list[str] = []
    behind_s: float | None = None
    informers: dict[str, InformerClaim] = {}
    groups: dict[str, GroupClaim] = {}


def claims_of(
    informers: Iterable[str],
    groups: Mapping[str, GroupShape],
    places: Mapping[str, Place],
    heard: Iterable[Here],
    queues: Queues | None = None,
) -> Claims:
    """``places``: those that have shards; ``heard``: the workers that answered; ``queues``: of a queue on NATS.

    ``informers`` and those of ``groups`` may be fewer than there are, where the config leaves them to plug-ins: what
    workers name counts, too.
    """
    queues = queues or Queues([], [])
    answers = {(here.place, here.host): here for here in heard}
    states: dict[str, WorkerState | None] = {}
    silent: dict[str, str] = {}
    for name, place in places.items():
        here = answers.get((name, place.host))
        silent[name] = _silence(name, place, here)
        states[name] = here.state if here is not None and not silent[name] else None
    known = [state for state in states.values() if state is not None]
    names = dict.fromkeys([*informers, *(name for state in known for name in state.informers)])
    found = {informer: _informer(informer, places, states, silent, queues) for informer in names}
    unready = [why for why in silent.values() if why]
    for informer, claim in found.items():
        unready += claim.stuck
        unready += [
            f"{informer}: {name} on {places[name].words}: {part.why}"
            for name, part in claim.places.items()
            if part.why and not silent[name]
        ]
    ready = {informer for informer, claim in found.items() if claim.ready}
    of_groups = {
        name: of_group
        for name, shape in groups.items()
        if (of_group := _group(name, shape, states, ready)) is not None
    }
    unready += [f"{group}: {of_group.why}" for group, of_group in of_groups.items() if of_group.why]
    ages = [part.behind_s for claim in found.values() for part in claim.places.values()]
    ages += [of_group.behind_s for of_group in of_groups.values()]
    return Claims(
        ready=not unready, unready=unready, behind_s=_oldest(ages), informers=found, groups=of_groups
    )


def unknown(why: str) -> Claims:
    """Nothing is known: not ready."""
    return Claims(unready=[why])


def by_places(places: Mapping[str, Place], host: str, here: Mapping[str, Any]) -> Claims:
    """Without an archive, where workers are not asked: what ``host`` says of itself in its status ``here`` counts where
    it has all places; of others nothing is known."""
    unready = [
        f"no host has {name}" if not place.host else f"{name} on {place.words} is not asked: there is no archive"
        for name, place in places.items()
        if place.host != host
    ]
    unready = unready or [str(line) for line in here.get("unready") or ()]
    if not unready and not here.get("ready"):
        unready = ["this host is not ready"]
    return Claims(ready=not unready, unready=unready)


def _silence(name: str, place: Place, here: Here | None) -> str:
    """Why nothing is known of the place; "" where its worker has said something lately."""
    if not place.host:
        return f"no host has {name}"
    where = f"{name} on {words_for(place.host, place.node)}"
    if place.waits_for:
        former = f"{place.waits_for}, which had it last, is waited for"
        return f"{where} is not at work yet: the archive is new, and {former}"
    if here is None:
        ago = "" if place.lease_s is None else f"; it was heard {place.lease_s:.1f} s ago (its lease)"
        return f"{where} does not answer{ago}"
    if not here.works:
        return f"{where} is not at work yet"
    if here.state is None:
        return f"{where} says nothing of its informers yet, or is of an earlier version"
    if here.state.age_s > here.state.silent_s:
        return f"{where} answers, and its loop has stood still for {here.state.age_s:.0f} s"
    return f"{where} has more to say than one answer holds: see `deltawire status` there" if here.state.is_cut else ""


def _informer(
    name: str,
    places: Mapping[str, Place],
    states: Mapping[str, WorkerState | None],
    silent: Mapping[str, str],
    queues: Queues,
) -> InformerClaim:
    found: dict[str, PlaceClaim] = {}
    for place, at in places.items():
        state = states[place]
        said = state.informers.get(name) if state is not None else None
        if state is None or said is None:
            why = silent[place] or "its worker does not know it: the configs of the hosts differ"
            found[place] = PlaceClaim(host=at.host, node=at.node, why=why)
        else:
            found[place] = _part(name, at, state, said, queues.waiting(name, place, at.host))
    stuck = queues.stuck(name, {place.host for place in places.values()})
    is_ready = bool(found) and not stuck and all(not part.why for part in found.values())
    return InformerClaim(ready=is_ready, stuck=stuck, places=found)


def _part(name: str, at: Place, state: WorkerState, said: InformerState, queued: int | None) -> PlaceClaim:
    why = said.why or ("" if said.fresh else "it is not fresh: the API server was not heard in time")
    return PlaceClaim(
        host=at.host,
        node=at.node,
        synced=said.synced,
        fresh=said.fresh,
        why=why,
        lag_ms=said.lag_ms,
        pending=max((group[name].pending for group in state.groups.values() if name in group), default=0),
        behind_s=_older(said.behind_s, state),
        still_s=_older(said.still_s, state),
        queued=queued,
    )


def _oldest(ages_s: Iterable[float | None]) -> float | None:
    """None where one of them is not known."""
    found = list(ages_s)
    known = [age_s for age_s in found if age_s is not None]
    return max(known) if known and len(known) == len(found) else None


def _older(age_s: float | None, state: WorkerState) -> float | None:
    return None if age_s is None else round(age_s + state.age_s, 3)


def _group(
    name: str, shape: GroupShape, states: Mapping[str, WorkerState | None], ready: set[str]
) -> GroupClaim | None:
    """None of a group that gets no events, or is off and has no replicas on any host."""
    known = {place: state for place, state in states.items() if state is not None}
    said = {place: state.groups.get(name, {}) for place, state in known.items()}
    informers = shape.informers or sorted({informer for groups in said.values() for informer in groups})
    if not informers:
        return None
    is_heard = any(group.replicas for groups in said.values() for group in groups.values())
    if shape.is_off and not is_heard:
        return None
    is_whole = len(known) == len(states)
    pending = sum(group.pending for groups in said.values() for group in groups.values()) if is_whole else None
    why = _lack(informers, said)
    ages = [
        _older(said[place][informer].behind_s, state) if informer in said[place] else None
        for place, state in known.items()
        for informer in informers
    ]
    return GroupClaim(
        ready=is_whole and not why and ready.issuperset(informers),
        why=why,
        pending=pending,
        behind_s=_oldest(ages) if is_whole else None,
    )


def _lack(informers: Iterable[str], said: Mapping[str, Mapping[str, GroupState]]) -> str:
    """What the workers that are known lack; of the others their places say it."""
    unseen = [
        f"{informer} ({place})"
        for informer in informers
        for place, groups in said.items()
        if informer not in groups or not groups[informer].synced
    ]
    if unseen:
        return f"it has not seen all of {', '.join(unseen)}"
    unproven = [
        f"{informer} ({place})"
        for informer in informers
        for place, groups in said.items()
        if groups[informer].behind_s is None
    ]
    if unproven:
        return f"it is not proven yet what it has handled of {', '.join(unproven)}"
    clusters: dict[str, list[set[str]]] = {}
    for informer in informers:
        of = clusters.setdefault(informer.partition("/")[0], [])
        of += [set(groups[informer].replicas) for groups in said.values()]
    without = [cluster for cluster, heard in clusters.items() if heard and not set.intersection(*heard)]
    return f"no replica of it has a session with every worker ({', '.join(without)})" if without else ""
