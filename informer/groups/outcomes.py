"""What becomes of the events that replicas hold: acknowledged, to be tried again, dead, given back (pure).

Times are wall s.
"""

from collections.abc import Iterable, Sequence

from deltawire.informer.groups.events import ADD, DEAD, DELETE, DONE, RETRY, Changes, Flight
from deltawire.informer.groups.group import Group
from deltawire.informer.groups.held_calls import take_held
from deltawire.informer.groups.parking import parked_of
from deltawire.informer.groups.replica import Departure, Replica

AFTER_S_MAX = 7 * 86_400.0
# What a key waits after its handler died on it: doubled each time.
_DEATH_WAIT_S = 0.2
_DEATH_WAIT_S_MAX = 30.0
# A handler says hello each 2 s until it is welcome.
_HELLO_WAIT_S = 2.5


def join(
    group: Group, replica: Replica, held: Sequence[tuple[str, int, int]], changes: Changes, now: float
) -> None:
    """A replica is there. ``held``: (key, seq, fence) of this shard's calls that it is still in."""
    if group.record.state.forgotten:
        group.start_over(changes.seq, now)
    if group.members.is_other(replica):
        # It came again without having left: what it held would have no owner.
        leave(group, replica.identity, "it came again", now, Departure.SESSION)
    group.members.add(replica)
    group.know_replicas(now)
    for key, seq, fence in held:
        take_held(group, replica, key, seq, fence, changes)
    group.resync.joined(now)


def leave(group: Group, identity: bytes, reason: str, now: float, how: Departure = Departure.DIED) -> None:
    """A replica is gone; ``how`` decides what the keys that it held wait for."""
    replica = group.members.remove(identity)
    if replica is None:
        return
    replica.waits_no_more(group)
    if group.scope is not None:
        group.scope.left(identity)
    group.gaps.left(identity)
    for flight in [f for f in group.in_flight.values() if f.replica is replica]:
        if how is Departure.DIED:
            _blame(group, flight, reason, now)
            continue
        wait_s = _HELLO_WAIT_S if how is Departure.SESSION else 0.0
        # Who left began no call of these. Of a session that ended, acks may have been lost.
        again = flight.again or how is Departure.SESSION
        _park(group, flight, flight.failures, now + wait_s, "", solo=flight.solo, again=again)
        group.lot.gave_back(flight.seq)
    group.know_replicas(now)


def acknowledge(
    group: Group, identity: bytes, acks: Iterable[tuple[str, int, int, int, int, str]], now: float
) -> int:
    """What became of events: key, seq, fence, verdict, ms, error of each (docs/wire.md §7, ``acks``). How many count.

    An ack of what the replica does not hold (any more) is refused and counted.
    """
    taken = 0
    for key, seq, fence, verdict, after_ms, error in acks:
        flight = group.in_flight.get(key)
        if flight is None or (flight.seq, flight.fence, flight.replica.identity) != (seq, fence, identity):
            group.counters.late += 1
            continue
        taken += 1
        if verdict != DONE:
            _fail(group, flight, verdict, after_ms / 1000.0, error, now)
            continue
        group.counters.acknowledged += 1
        if flight.parked_seq:
            group.lot.remove(flight.parked_seq)
        group.notes.acknowledged(flight.born, seq)
        if flight.scope is not None:
            _note_told(group, flight)
        if group.lot.dead and flight.kind != DELETE:
            group.lot.forget_superseded(key, flight.uid, seq)
        if group.olds.objects:
            group.olds.drop(key)
        if flight.overwritten is not None and group.members.wants_old:
            group.olds.keep(key, flight.overwritten)
        del group.in_flight[key]
        flight.replica.give_back(flight.size_bytes, alone=flight.solo)
        if group.blocked.count:
            group.blocked.released(key)
        group.track.finish(seq)
    return taken


def _fail(group: Group, flight: Flight, verdict: int, after_s: float, error: str, now: float) -> None:
    """The call of an event failed, or wishes to be made again."""
    # A retry without an error is the handler's wish to be called again: no failure.
    failures = 0 if verdict == RETRY and not error else flight.failures + 1
    group.counters.failed += failures > 0
    dead = verdict == DEAD or 0 < group.attempts_max <= failures
    wait_s = min(max(after_s, 0.0), AFTER_S_MAX)
    _park(group, flight, failures, now + wait_s, error, dead=dead)


def _blame(group: Group, flight: Flight, reason: str, now: float) -> None:
    """The replica died on one of the keys that it held; which one shows when each is sent alone."""
    failures = flight.failures + 1
    wait_s = min(_DEATH_WAIT_S_MAX, _DEATH_WAIT_S * 2 ** min(failures, 20))
    group.counters.failed += 1
    # Keys that were merely held beside a deadly one must not die with it: only one sent alone does.
    used_up = flight.solo and 0 < group.attempts_max <= failures
    error = f"the handler was lost while it held this key: {reason}"
    _park(group, flight, failures, now + wait_s, error, dead=used_up, solo=True)
    if not used_up and failures == 1:
        # A key that kills again and again is one that waits for a retry; at first it is one that waits.
        group.lot.gave_back(flight.seq)


def _park(
    group: Group,
    flight: Flight,
    failures: int,
    not_before: float,
    error: str,
    *,
    dead: bool = False,
    solo: bool = False,
    again: bool = False,
) -> None:
    lot, notes = group.lot, group.notes
    if flight.parked_seq and flight.parked_seq != flight.seq:
        lot.remove(flight.parked_seq)
    parked = parked_of(flight, failures, not_before, error, solo=solo)
    parked.again = again
    if dead and flight.kind == DELETE:
        notes.forget(flight.born)
    elif flight.kind == ADD and group.scope is None:
        notes.owe(flight.born)
    if dead:
        _note_told(group, flight)
        lot.bury(parked)
    else:
        lot.add(parked)
    del group.in_flight[flight.key]
    flight.replica.give_back(flight.size_bytes, alone=flight.solo)
    if group.blocked.count:
        group.blocked.released(flight.key)
    group.track.finish(flight.seq)


def _note_told(group: Group, flight: Flight) -> None:
    if group.scope is not None and flight.scope is not None:
        group.scope.told(flight.born, flight.seq, flight.scope, every=group.record.is_every)
