"""Which host has which shards of a pipeline on several hosts: by the servers, and by what workers say."""

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import NatsServers
from deltawire.common.errors import ConfigError, StateError
from deltawire.common.store.folder import last_cluster_id
from deltawire.jetstream.connection import Connection, NatsError, refused, words_of
from deltawire.jetstream.hosts import host_and_node, words_for
from deltawire.jetstream.moves import Here, who_is_there
from deltawire.jetstream.settings import settings_of

if TYPE_CHECKING:
    from nats.js import JetStreamContext

# All questions together.
LOOK_S = 15.0
# A server that is there is reached within this, also as the third one that is tried.
REACH_S = 5.0
# What `status` waits for servers: it has all else to show.
STATUS_S = 3.0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's place over all hosts. ``host``, ``node``: of who has its lease, "" if nobody does. ``heard``: that
    worker answers; ``lease_s``: since it was renewed; ``standbys``: hosts that wait for it, in words."""

    host: str = ""
    node: str = ""
    heard: bool = False
    lease_s: float | None = None
    standbys: list[str] = []

    @property
    def words(self) -> str:
        return words_for(self.host, self.node) if self.host else "nobody"


class ShardRow(msgspec.Struct, frozen=True, kw_only=True):
    """A shard of an informer. ``fence``: rises with each owner; ``position``: the number of its newest change;
    None: nothing is archived, or not known."""

    informer: str
    shard: int
    place: str
    fence: int | None = None
    position: int | None = None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """``can_move``: shards have an archive, so that hosts may wait for places."""

    can_move: bool
    places: dict[str, Place]
    shards: list[ShardRow]


def connect(plan: Plan, clock: Clock, *, timeout_s: float = REACH_S) -> Connection:
    """To the servers that know of places. Raises ConfigError where there are none, NatsError where none is reached."""
    options, where = named(plan)
    connection = Connection(settings_of(options, where), label="deltawire cli", clock=clock, is_quiet=True)
    connection.start()
    try:
        connection.wait(connection.connected(), timeout_s)
    except TimeoutError:
        problem = connection.problem
        connection.close()
        raise NatsError(f"no server is reached: {problem}", hint="see `deltawire check`") from None
    return connection


def named(plan: Plan) -> tuple[NatsServers, str]:
    """The servers that know of places, and where the config names them. Raises ConfigError."""
    if plan.config.archive is not None:
        return plan.config.archive, "archive"
    if plan.nats is not None:
        return plan.nats, "engine"
    raise ConfigError(
        "all shards are on one host: neither `archive` nor `engine: nats` is set",
        hint="with an archive several hosts share the shards (docs/nats.md)",
    )


def look(plan: Plan, connection: Connection, clock: Clock, *, shards: bool = True) -> Overview:
    """As it is now; ``shards``: with a row for each. Raises NatsError where the servers do not answer."""
    import nats.errors

    try:
        return connection.wait(_look(plan, connection, clock, shards), LOOK_S)
    except TimeoutError:
        why = connection.problem or "have the servers a majority?"
        raise NatsError(f"{connection.settings.shown} does not answer: {why}") from None
    except nats.errors.Error as error:
        raise refused("a look at its leases", error, connection.settings) from None


def who(connection: Connection) -> list[Here]:
    """All workers that answer. Raises NatsError where none could be asked."""
    import nats.errors

    try:
        return connection.wait(who_is_there(connection), LOOK_S)
    except (nats.errors.Error, TimeoutError) as error:
        raise NatsError(
            f"workers cannot be asked over {connection.settings.shown}: {words_of(error)}",
            hint="see `deltawire check`",
        ) from None


async def _look(plan: Plan, connection: Connection, clock: Clock, with_shards: bool) -> Overview:
    can_move = plan.config.archive is not None
    heard = await who_is_there(connection, is_patient=with_shards) if can_move else []
    jetstream = connection.jetstream()
    places = {}
    for index in range(plan.config.runtime.workers):
        name = f"worker-{index}"
        key = name if can_move else f"place-{index}"
        places[name] = await _place(connection, jetstream, name, key, heard, clock)
    clusters = {cluster: known for here in heard for cluster, known in here.clusters.items() if known}
    rows = [
        ShardRow(informer=informer, shard=shard, place=f"worker-{owner}")
        for informer in plan.informers
        for shard, owner in enumerate(plan.shard_owners)
        if with_shards
    ]
    if can_move:
        rows = list(await asyncio.gather(*(_archived(plan, connection, row, clusters) for row in rows)))
    return Overview(can_move=can_move, places=places, shards=rows)


async def _place(
    connection: Connection, jetstream: "JetStreamContext", name: str, key: str, heard: list[Here], clock: Clock
) -> Place:
    of_place = [here for here in heard if here.place == name]
    row = await _row(connection, jetstream, key)
    host, node, lease_s = "", "", None
    if row is not None:
        host, node = host_and_node((row.data or b"").decode(errors="replace"))
        lease_s = max(0.0, round(clock.wall_s() - row.time.timestamp(), 1)) if row.time else None
    return Place(
        host=host,
        node=node,
        lease_s=lease_s,
        heard=any(here.host == host for here in of_place),
        standbys=[words_for(here.host, here.node) for here in of_place if here.host != host],
    )


async def _row(connection: Connection, jetstream: "JetStreamContext", key: str) -> Any:
    """Of the bucket of leases; None where there is none."""
    from nats.js.errors import NotFoundError

    bucket = connection.settings.bucket("leases")
    try:
        found = await jetstream.get_last_msg(f"KV_{bucket}", f"$KV.{bucket}.{key}")
    except NotFoundError:
        return None
    # One that was given back leaves an empty row for a while.
    return found if found.data else None


async def _archived(plan: Plan, connection: Connection, row: ShardRow, clusters: dict[str, str]) -> ShardRow:
    from deltawire.informer.archive.nats import NatsArchives
    from deltawire.informer.archive.record import decode

    cluster, _, resource = row.informer.partition("/")
    known = clusters.get(cluster) or last_cluster_id(plan.store_dir, cluster)
    if not known:
        return row
    archives = NatsArchives(connection, bytes_max=0)
    found = await archives.tail(archives.of(known, resource, row.shard).subject)
    if found is None:
        return row
    try:
        record = decode(found[1])
    except StateError:
        return row
    return msgspec.structs.replace(row, fence=record.epoch, position=record.position.seq or None)
