"""``deltawire shards move``: a worker's place is passed on to a host that waits for it."""

from collections.abc import Callable, Iterator
from typing import NoReturn

from deltawire.cli.hosts.overview import who
from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.jetstream.connection import Connection, NatsError
from deltawire.jetstream.hosts import words_for
from deltawire.jetstream.moves import Give, Here, order

# Until the other host works on the shards: its caches are filled from the archive first.
MOVE_S = 90.0
POLL_S = 0.3
# A host that was asked and has the place again for so long has not passed it on.
BACK_S = 10.0
# Workers that just lost their server are asked again.
ASKS = 3


def move(
    connection: Connection,
    place: str,
    to: str,
    note: Callable[[str], object],
    clock: Clock,
    *,
    anew: bool = False,
) -> str:
    """What was done, in a line. ``anew``: begin on ``to`` without what the host that it waits for knows.

    Raises ConfigError where no such host waits, NatsError where the place did not move.
    """
    holder, heir = _parties(connection, place, to)
    target = words_for(heir.host, heir.node)
    if holder is not None and holder.waits_for:
        if not anew:
            _refuse(holder)
        return _begin_anew(connection, holder, heir, clock)
    if anew:
        raise ConfigError(
            f"no host waits with {place} for the one that had it last", path="--anew", hint="move it without --anew"
        )
    if holder is not None and holder.host == heir.host:
        return f"{place} is on {target} already"
    if holder is None:
        raise NatsError(
            f"no worker has {place} now", hint="a host that waits has it within 6 s: see `deltawire shards`"
        )
    source, began_s = words_for(holder.host, holder.node), clock.now_s()
    connection.wait(order(connection, holder, Give(heir.host, heir.node)), MOVE_S)
    note(f"{source} finishes what is in flight and passes {place} on")
    back_s: float | None = None
    for of_place in _looks(connection, place, clock, began_s):
        other = next((here for here in of_place.values() if here.works and here.host != holder.host), None)
        if other is not None and other.host == heir.host:
            return f"{place} moved from {source} to {target} in {clock.now_s() - began_s:.1f} s"
        if other is not None:
            raise NatsError(f"{place} is on {words_for(other.host, other.node)}: {target} did not take it")
        giver = of_place.get(holder.host)
        is_back = giver is not None and giver.works and not giver.gives_to
        back_s = (clock.now_s() if back_s is None else back_s) if is_back else None
        if back_s is not None and clock.now_s() - back_s >= BACK_S:
            raise NatsError(f"{place} is on {source} as before", hint="see the logs of both workers")
    raise NatsError(f"{target} has not begun with {place} within {MOVE_S:g} s", hint="see `deltawire shards`")


def _refuse(holder: Here) -> NoReturn:
    source = words_for(holder.host, holder.node)
    raise NatsError(
        f"{source} has {holder.place} and waits for host {holder.waits_for}: the archive is new, and what groups know"
        " is on that host's disk",
        hint="start it; if that disk is lost, too:"
        f" deltawire shards move {holder.place} --to {holder.host[:8]} --anew",
    )


def _begin_anew(connection: Connection, holder: Here, heir: Here, clock: Clock) -> str:
    where, former = words_for(holder.host, holder.node), holder.waits_for
    if heir.host != holder.host:
        raise ConfigError(
            f"{where} has {holder.place}, and waits for host {former}", path="--to", hint=f"with --anew say {where}"
        )
    connection.wait(order(connection, holder, Give(heir.host, heir.node, anew=True)), MOVE_S)
    for of_place in _looks(connection, holder.place, clock, clock.now_s()):
        at_work = {host: here for host, here in of_place.items() if here.works}
        if other := next((here for host, here in at_work.items() if host != holder.host), None):
            raise NatsError(
                f"{holder.place} is on {words_for(other.host, other.node)}: it came before {where} had begun anew",
                hint="see `deltawire shards`",
            )
        if at_work:
            return f"{holder.place} has begun anew on {where}, without what host {former} knows"
    raise NatsError(f"{where} has not begun with {holder.place} within {MOVE_S:g} s", hint="see its log")


def _looks(connection: Connection, place: str, clock: Clock, began_s: float) -> Iterator[dict[str, Here]]:
    """Who answers for the place, by host, again and again until `MOVE_S` after ``began_s``."""
    while clock.now_s() - began_s < MOVE_S:
        clock.sleep(POLL_S)
        try:
            heard = who(connection)
        except NatsError:
            # This command's own connection is lost, and is made again; the move does not need it.
            continue
        yield {here.host: here for here in heard if here.place == place}


def _parties(connection: Connection, place: str, to: str) -> tuple[Here | None, Here]:
    """Who has the place, and who is to have it."""
    for ask in range(ASKS):
        try:
            of_place = [here for here in who(connection) if here.place == place]
            return next((here for here in of_place if here.holds), None), _named(of_place, place, to)
        except DeltawireError:
            if ask == ASKS - 1:
                raise
    raise AssertionError


def _named(of_place: list[Here], place: str, to: str) -> Here:
    """The host that ``to`` means: its machine's name, or the beginning of its own. Raises ConfigError."""
    found = [here for here in of_place if to and (here.node == to or here.host.startswith(to))]
    if len(found) == 1:
        return found[0]
    waiting = ", ".join(words_for(here.host, here.node) for here in of_place if not here.holds)
    if found:
        raise ConfigError(f"{to} is the name of several hosts", path="--to", hint=f"say one of: {waiting}")
    raise ConfigError(
        f"no worker of host {to!r} waits for {place}",
        path="--to",
        hint=f"hosts that do: {waiting or 'none; run `deltawire informer --index N` with the same archive there'}",
    )
