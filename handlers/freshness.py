"""How old what a cache shows may be, as its workers last said (docs/wire.md §7). Safe to use from several threads."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deltawire.common.clock import Clock
from deltawire.common.wire.messages.proofs import InformerProof, Proof, slowest

# No proof: not fresh.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Freshness:
    """Of the slowest shard and stream of a cache.

    ``as_of_s``: all that was read from the API server until then (s since 1970) is in the cache. ``proof_age_s``:
    seconds since the API server last sent anything. None, and ``is_fresh`` false, if not known; ``why`` says why.
    """

    is_fresh: bool = False
    as_of_s: float | None = None
    proof_age_s: float | None = None
    why: str = ""


def freshness_of(proof: Proof, wall_us: int) -> Freshness:
    """What a proof says at ``wall_us``, µs since the epoch."""
    age_s = max(0.0, (wall_us - proof.proof_us) / 1e6)
    is_fresh = wall_us < proof.stale_us
    why = "" if is_fresh else f"the API server was last heard {age_s:.0f} s ago"
    return Freshness(is_fresh, proof.as_of_us / 1e6, age_s, why)


class FreshnessBook:
    """``workers``: nothing is known unless each has reported within ``silent_s``."""

    def __init__(self, workers: Iterable[int], *, silent_s: float, clock: Clock) -> None:
        self._workers = sorted(set(workers))
        self._silent_s = silent_s
        self._clock = clock
        self._lock = threading.Lock()
        self._said: dict[int, tuple[float, dict[str, Proof]]] = {}

    def said(self, worker: int, rows: Sequence[InformerProof]) -> None:
        """A worker's report on its part of each informer."""
        with self._lock:
            self._said[worker] = (self._clock.now_s(), {row.informer: row.proof for row in rows})

    def lost(self, worker: int) -> None:
        """The session with a worker ended."""
        with self._lock:
            self._said.pop(worker, None)

    def of(self, informer: str) -> Freshness:
        """What is known now."""
        now_s = self._clock.now_s()
        proofs = []
        with self._lock:
            for worker in self._workers:
                heard_s, rows = self._said.get(worker, (float("-inf"), {}))
                if now_s - heard_s > self._silent_s:
                    return Freshness(why=f"{UNKNOWN}: worker-{worker} is not heard")
                if informer not in rows:
                    return Freshness(why=f"{UNKNOWN}: worker-{worker} cannot say yet how far it is")
                proofs.append(rows[informer])
        proof = slowest(proofs)
        if proof is None:
            return Freshness(why=f"{UNKNOWN}: no worker has a part of it")
        return freshness_of(proof, int(self._clock.wall_s() * 1e6))
