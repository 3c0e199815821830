"""Whether informers and groups are synced and fresh, as of when, and if not, why (guarantees P8). Pure.

A claim is as good as its slowest part: each stream must watch; the broker, the owner of each shard and a replica of
the group must report. A part with a fault withdraws the claim at once. The claim comes back only with proofs of a time
after the last fault of any part. So nothing that happened unseen is skipped.

Instants in s are monotonic, µs are since the epoch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deltawire.cli.supervisor.shape import BROKER, Shape
from deltawire.cli.supervisor.standbys import owner_words
from deltawire.cli.supervisor.status_types import ClusterClaim

NOT_HEARD = "is not heard"
# All parts are well, and the first proof since then is on its way.
_IF_IT_LASTS = "this takes seconds; if it lasts, see what its streams say in `deltawire status`"
NO_PROOF_YET = f"the API server has not yet said up to when it is complete ({_IF_IT_LASTS})"
NO_PROOF_SINCE = f"all its parts work again, the API server has not yet said that nothing was missed ({_IF_IT_LASTS})"
# In order of likely cause: first processes that do not report, then the servers of the queue, then what the API
# server says.
_CAUSES = {"process": 0, "engine": 1, "stream": 2}


@dataclass(slots=True)
class Part:
    """Something that a claim needs. ``why`` is "" while it is well; ``bad_us``: when it last was not."""

    why: str
    bad_us: int

    def set(self, why: str, wall_us: int) -> None:
        if why:
            self.bad_us = max(self.bad_us, wall_us)
        self.why = why


@dataclass(slots=True)
class _Life:
    """The last report of one process. ``at_us``: when it was made."""

    life: int = 0
    at_us: int = 0
    received_s: float = float("-inf")
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """``is_synced``: all parts are well and complete as of ``as_of_us`` (None: not known), which lies after the last
    trouble. ``stale_us``: from then on it is not fresh. ``why``: why it is not synced, "" if it is."""

    is_synced: bool = False
    as_of_us: int | None = None
    proof_us: int | None = None
    stale_us: int = 0
    why: str = ""


class Readiness:
    """``silent_s``: a process whose last report is older counts as silent. ``wall_us``: when watching began."""

    def __init__(self, shape: Shape, *, silent_s: float, wall_us: int) -> None:
        self._shape = shape
        self._silent_s = silent_s
        self._began_us = wall_us
        self._lives: dict[str, _Life] = {}
        self._parts: dict[tuple[str, ...], Part] = {}
        self._groups_of: dict[str, str] = {}  # handler's process → group
        self._unheard: set[str] = set()
        # Until then nobody who is heard falls silent; monotonic, and since the epoch.
        self._quiet_until_s = float("-inf")
        self._quiet_until_us = 0
        self._ticked_us = 0

    # -- events

    def reshape(self, shape: Shape) -> None:
        """Claims are of these informers and groups from now on; of a new one nothing is known yet."""
        gone = [*(set(self._shape.informers) - set(shape.informers)), *(set(self._shape.groups) - set(shape.groups))]
        self._parts = {key: part for key, part in self._parts.items() if not set(key[1:]) & set(gone)}
        self._shape = shape

    def on_report(self, name: str, life: int, report: Mapping[str, Any], now_s: float, wall_us: int) -> None:
        """A report of the present life of a process."""
        known = self._lives.setdefault(name, _Life())
        if known.life and known.life != life:
            self._part("process", name).set(f"{name} {NOT_HEARD}", wall_us)
        at_us = min(int(report.get("at") or 0) or wall_us, wall_us)
        known.life, known.at_us, known.received_s, known.report = life, at_us, now_s, report
        self._hear(name, known, now_s, wall_us)
        role = str(report.get("role") or "")
        if role == "reflector":
            self._take_streams(name, report, wall_us)
        elif role == "fifo":
            self._take_queues(report, wall_us)
        elif role == "informer":
            self._take_shards(name, report, wall_us)
        elif role == "handler":
            before, group = self._groups_of.get(name), str(report.get("group") or "")
            self._groups_of[name] = group
            self._take_replicas(wall_us, {group, before or group})
        if role == "informer":
            self._take_replicas(wall_us, self._shape.groups)

    def on_gone(self, name: str, wall_us: int) -> None:
        """The process, or its connection, has ended: its reports do not count any more."""
        known = self._lives.setdefault(name, _Life())
        known.received_s = float("-inf")
        self._part("process", name).set(f"{name} {NOT_HEARD}", wall_us)
        self._unheard.add(name)
        if name in self._groups_of:
            self._take_replicas(wall_us, {self._groups_of[name]})

    def tick(self, now_s: float, wall_us: int) -> None:
        """Find processes that fell silent. Call before waiting reports are taken, and before claims are read."""
        if wall_us < self._ticked_us:
            # The wall clock was set back: from now on its new time counts.
            for part in self._parts.values():
                part.bad_us = min(part.bad_us, wall_us)
        self._ticked_us = wall_us
        if now_s <= self._quiet_until_s and wall_us <= self._quiet_until_us:
            for name in list(self._unheard):
                self._hear(name, self._lives[name], now_s, wall_us)
            return
        self._quiet_until_s, self._quiet_until_us = float("inf"), 2**63
        silent: set[str] = set()
        for name, known in self._lives.items():
            was_heard = name not in self._unheard
            self._hear(name, known, now_s, wall_us)
            if was_heard and name in self._unheard and name in self._groups_of:
                silent.add(self._groups_of[name])
        self._take_replicas(wall_us, silent)

    # -- claims

    def is_heard(self, name: str) -> bool:
        return not self._part("process", name).why

    def report_of(self, name: str) -> Mapping[str, Any]:
        """The last report of a process that is not silent; an empty one for any other."""
        return self._lives[name].report if self.is_heard(name) and name in self._lives else {}

    def informer(self, name: str) -> Claim:
        """All that was read of the informer until ``as_of_us`` is stored."""
        proofs = [_at(self.report_of(worker), "informers", name) for worker in self._workers]
        as_ofs = [int(p.get("as_of") or 0) for p in proofs]
        claim = self._claim(name, self._parts_of_informer(name), as_ofs)
        if claim.as_of_us is None:
            return claim
        slowest = min(proofs, key=lambda p: int(p.get("stale_at") or 0))
        proof_us, stale_us = int(slowest.get("proof_at") or 0), int(slowest.get("stale_at") or 0)
        return Claim(claim.is_synced, claim.as_of_us, proof_us, stale_us, claim.why)

    def group(self, name: str, cluster: str = "") -> Claim:
        """All that was read of the group's informers until ``as_of_us`` was acknowledged by it, or parked.

        ``cluster``: only of those of this cluster.
        """
        informers = self._shape.groups[name].informers
        if cluster:
            informers = [informer for informer in informers if informer.partition("/")[0] == cluster]
        clusters = dict.fromkeys(informer.partition("/")[0] for informer in informers)
        keys: list[tuple[str, ...]] = [("replicas", name, cluster) for cluster in clusters]
        as_ofs = []
        for informer in informers:
            keys += self._parts_of_informer(informer)
            for worker in self._workers:
                keys.append(("group", name, informer, worker))
                as_ofs.append(int(_at(self.report_of(worker), "groups", name, informer).get("as_of") or 0))
        if not informers:
            # It gets no events: being there is all.
            why = self._part("replicas", name, "").why
            return Claim(not why, self._began_us, why=why)
        return self._claim(name, keys, as_ofs)

    def by_cluster(self, name: str, fresh: set[str]) -> dict[str, ClusterClaim]:
        """A group's claims for each of its clusters; none where it has only one, or is off. ``fresh``: informers."""
        group = self._shape.groups[name]
        clusters: dict[str, list[str]] = {}
        for informer in group.informers:
            clusters.setdefault(informer.partition("/")[0], []).append(informer)
        if group.is_off or len(clusters) < 2:
            return {}
        found = {}
        for cluster, informers in clusters.items():
            claim = self.group(name, cluster)
            is_ready = claim.is_synced and fresh.issuperset(informers)
            found[cluster] = ClusterClaim(
                ready=is_ready, synced=claim.is_synced, as_of=claim.as_of_us, why=claim.why
            )
        return found

    def is_pending_known(self, name: str) -> bool:
        """True if all processes report that know what waits for a group, and none of its caches stands still."""
        keys: list[tuple[str, ...]] = [("process", BROKER)]
        keys += [("process", worker) for worker in self._workers]
        for informer in self._shape.groups[name].informers:
            keys += [("queue", informer), *(("open", informer, worker) for worker in self._workers)]
        return not any(self._part(*key).why for key in keys)

    # -- inside

    @property
    def _workers(self) -> list[str]:
        return list(dict.fromkeys(self._shape.workers))

    def _claim(self, name: str, keys: Iterable[tuple[str, ...]], as_ofs: list[int]) -> Claim:
        ordered = sorted(keys, key=lambda key: _CAUSES.get(key[0], len(_CAUSES)))
        parts = [self._part(*key) for key in ordered]
        as_of_us = min(as_ofs, default=0) or None
        why = next((self._why(name, key, part) for key, part in zip(ordered, parts, strict=True) if part.why), "")
        bad_us = max(part.bad_us for part in parts)
        if not why and as_of_us is None:
            why = NO_PROOF_YET
        elif not why and as_of_us is not None and as_of_us <= bad_us:
            why = NO_PROOF_SINCE
        return Claim(not why, as_of_us, why=why)

    def _why(self, name: str, key: tuple[str, ...], part: Part) -> str:
        """A group whose informer is not well says which; why is said of the informer itself."""
        is_of_informer = key[0] in ("engine", "queue", "stream", "open", "stored")
        return f"{key[1]} is not synced" if is_of_informer and key[1] != name else part.why

    def _parts_of_informer(self, name: str) -> list[tuple[str, ...]]:
        keys: list[tuple[str, ...]] = [("process", BROKER), ("engine", name), ("queue", name)]
        for stream, reflector in self._shape.informers[name].items():
            keys += [("process", reflector), ("stream", name, stream)]
        for worker in self._workers:
            keys += [("process", worker), ("open", name, worker), ("stored", name, worker)]
        return keys

    def _part(self, *key: str) -> Part:
        part = self._parts.get(key)
        if part is None:
            why = f"{key[-1]} {NOT_HEARD}" if key[0] == "process" else "not known yet"
            part = self._parts[key] = Part(why, self._began_us)
        return part

    def _hear(self, name: str, known: _Life, now_s: float, wall_us: int) -> None:
        age_s = max(now_s - known.received_s, (wall_us - known.at_us) / 1e6)
        is_heard = age_s <= self._silent_s
        self._part("process", name).set("" if is_heard else f"{name} {NOT_HEARD}", wall_us)
        if is_heard:
            self._unheard.discard(name)
            self._quiet_until_s = min(self._quiet_until_s, known.received_s + self._silent_s)
            self._quiet_until_us = min(self._quiet_until_us, known.at_us + int(self._silent_s * 1e6))
        else:
            self._unheard.add(name)

    def _take_streams(self, name: str, report: Mapping[str, Any], wall_us: int) -> None:
        streams = _at(report, "streams")
        for informer, owners in self._shape.informers.items():
            for stream, reflector in owners.items():
                if reflector != name:
                    continue
                said = _at(streams, f"{informer}@{stream}")
                # Its error stands beside the stream: here it would be said for each group again.
                state = said.get("state") or "unknown"
                why = "" if said.get("watching") else f"stream {stream} is not watched ({state})"
                self._part("stream", informer, stream).set(why, wall_us)

    def _take_queues(self, report: Mapping[str, Any], wall_us: int) -> None:
        for informer in self._shape.informers:
            missing = len(self._shape.workers) - int(
                _at(report, "informers", informer).get("shards_open") or 0
            )
            why = f"{missing} of its shards are not connected to the broker" if missing > 0 else ""
            self._part("queue", informer).set(why, wall_us)
            stuck = _at(report, "nats", "stuck").get(informer)
            self._part("engine", informer).set(f"its queue on NATS stands still: {stuck}" if stuck else "", wall_us)

    def _take_shards(self, name: str, report: Mapping[str, Any], wall_us: int) -> None:
        is_connected = bool(_at(report, "broker").get("open"))
        wanted = [str(shard) for shard in self._shape.shards_of(name)]
        waits = owner_words(report)
        for informer in self._shape.informers:
            said = _at(report, "informers", informer)
            shards = [_at(said, "shards", shard) for shard in wanted]
            why = f"{name} is a standby here, {waits}" if waits else str(said.get("error") or "")
            if not why and not all(shards):
                why = "its cache is not open"
            elif not why and not is_connected:
                why = f"{name} has no connection to the broker"
            self._part("open", informer, name).set(why, wall_us)
            if not all(shard.get("listed") for shard in shards):
                why = "it was not listed yet"
            elif not all(shard.get("stored", True) for shard in shards):
                why = "it is being listed again"
            else:
                why = ""
            self._part("stored", informer, name).set(why, wall_us)
        for group, shape in self._shape.groups.items():
            for informer in shape.informers:
                is_synced = bool(_at(report, "groups", group, informer).get("synced"))
                why = "" if is_synced else f"it has not seen all of {informer}"
                self._part("group", group, informer, name).set(why, wall_us)

    def _take_replicas(self, wall_us: int, groups: Iterable[str]) -> None:
        """A replica counts if it reports and each worker has a session with it.

        For each cluster on its own: of one that was never reached no worker has a cache, nor a session.
        """
        for group in groups:
            shape = self._shape.groups.get(group)
            if shape is None:
                continue
            heard = {name for name, of in self._groups_of.items() if of == group and self.is_heard(name)}
            by_cluster = {informer.partition("/")[0]: set(heard) for informer in shape.informers} or {"": heard}
            for worker in self._workers:
                for informer in shape.informers:
                    known = _at(self.report_of(worker), "groups", group, informer).get("replicas") or ()
                    by_cluster[informer.partition("/")[0]] &= set(known)
            for cluster, here in by_cluster.items():
                self._part("replicas", group, cluster).set(
                    "" if here else "no replica of it is heard", wall_us
                )


def _at(tree: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The map at ``path``; an empty one where there is none."""
    for step in path:
        inner = tree.get(step)
        if not isinstance(inner, dict):
            return {}
        tree = inner
    return tree
