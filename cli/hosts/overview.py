"""Which host has which shards of a pipeline on several hosts: by the servers, and by what workers say."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from deltawire.cli.hosts.claims import Claims, claims_of
from deltawire.cli.hosts.places import Place
from deltawire.cli.hosts.queues import Queues
from deltawire.cli.supervisor.shape import GroupShape, shape_of
from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import NatsServers
from deltawire.common.errors import ConfigError, StateError
from deltawire.common.store.folder import last_cluster_id
from deltawire.jetstream.brokers import BrokerState, brokers_there
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
# What brokers are waited for, with the connection to their servers.
BROKERS_S = 3.0
# What it waits for the servers' own time, which only dates the leases.
CLOCK_S = 1.0


class ShardRow(msgspec.Struct, frozen=True, kw_only=True):
    """A shard of an informer. ``fence``: rises with each owner; ``position``: the number of its newest change;
    None: nothing is archived, or not known."""

    informer: str
    shard: int
    place: str
    fence: int | None = None
    position: int | None = None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """``can_move``: shards have an archive, so that hosts may wait for places. ``hosts``: what holds over all of them;
    None without an archive, where no worker can be asked."""

    can_move: bool
    places: dict[str, Place]
    shards: list[ShardRow]
    hosts: Claims | None = None


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


def look(
    plan: Plan,
    connection: Connection,
    clock: Clock,
    *,
    shards: bool = True,
    groups: Mapping[str, GroupShape] | None = None,
) -> Overview:
    """As it is now; ``shards``: with a row for each. ``groups``: where more is known than the config says.

    Raises NatsError where the servers do not answer."""
    import nats.errors

    queue = _queue_of(plan, clock)
    try:
        overview, heard = connection.wait(_look(plan, connection, clock, shards), LOOK_S)
        if not overview.can_move:
            return overview
        shape = shape_of(plan)
        places = {name: place for name, place in overview.places.items() if name in shape.workers}
        queues = Queues(_brokers(queue, {place.host for place in places.values()}), shape.workers)
        claims = claims_of(plan.informers, groups or shape.groups, places, heard, queues)
        return msgspec.structs.replace(overview, hosts=claims)
    except TimeoutError:
        why = connection.problem or "have the servers a majority?"
        raise NatsError(f"{connection.settings.shown} does not answer: {why}") from None
    except nats.errors.Error as error:
        raise refused("a look at its leases", error, connection.settings) from None
    finally:
        if queue is not None:
            queue.close()


def _queue_of(plan: Plan, clock: Clock) -> Connection | None:
    """To the servers of the queue, which may be others than the archive's; not reached yet."""
    if plan.nats is None or plan.config.archive is None:
        return None
    connection = Connection(settings_of(plan.nats), label="deltawire cli", clock=clock, is_quiet=True)
    connection.start()
    return connection


def _brokers(queue: Connection | None, hosts: set[str]) -> list[BrokerState]:
    """None of them where the queue's servers do not answer: then figures of queues are not known."""
    import nats.errors

    if queue is None:
        return []
    try:
        return queue.wait(brokers_there(queue, hosts), BROKERS_S)
    except (nats.errors.Error, TimeoutError):
        return []


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


async def _look(
    plan: Plan, connection: Connection, clock: Clock, with_shards: bool
) -> tuple[Overview, list[Here]]:
    """Without what holds over all hosts, and the workers that answered."""
    can_move = plan.config.archive is not None
    leases = await _leases(plan, connection, clock, "worker" if can_move else "place")
    # Who has a lease is waited for: who is busy is not yet silent.
    holders = {(name, lease.host) for name, lease in leases.items() if lease.host}
    heard = await who_is_there(connection, is_patient=with_shards, wanted=holders) if can_move else []
    if any((name, lease.host) not in {(h.place, h.host) for h in heard} for name, lease in leases.items()):
        # The lease of one that does not answer may be another host's by now.
        leases = await _leases(plan, connection, clock, "worker" if can_move else "place")
    places = {name: _place(name, lease, heard) for name, lease in leases.items()}
    clusters = {cluster: known for here in heard for cluster, known in here.clusters.items() if known}
    rows = [
        ShardRow(informer=informer, shard=shard, place=f"worker-{owner}")
        for informer in plan.informers
        for shard, owner in enumerate(plan.shard_owners)
        if with_shards
    ]
    if can_move:
        rows = list(await asyncio.gather(*(_archived(plan, connection, row, clusters) for row in rows)))
    return Overview(can_move=can_move, places=places, shards=rows), heard


async def _leases(plan: Plan, connection: Connection, clock: Clock, key: str) -> dict[str, Place]:
    """By place, who has its lease."""
    jetstream, found = connection.jetstream(), {}
    servers_now_s = await _servers_now_s(connection) or clock.wall_s()
    for index in range(plan.config.runtime.workers):
        row = await _row(connection, jetstream, f"{key}-{index}")
        host, node, lease_s = "", "", None
        if row is not None:
            host, node = host_and_node((row.data or b"").decode(errors="replace"))
            lease_s = max(0.0, round(servers_now_s - row.time.timestamp(), 1)) if row.time else None
        found[f"worker-{index}"] = Place(host=host, node=node, lease_s=lease_s)
    return found


async def _servers_now_s(connection: Connection) -> float | None:
    """The time of those who dated the leases, seconds since 1970: this host's clock may be another. None where a server
    does not say it."""
    import nats.errors

    subject = f"$JS.API.STREAM.INFO.KV_{connection.settings.bucket('leases')}"
    try:
        answer = await connection.client.request(subject, b"", timeout=CLOCK_S)
        return datetime.fromisoformat(msgspec.json.decode(answer.data)["ts"]).timestamp()
    except (nats.errors.Error, msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return None


def _place(name: str, lease: Place, heard: list[Here]) -> Place:
    of_place = [here for here in heard if here.place == name]
    return msgspec.structs.replace(
        lease,
        heard=any(here.host == lease.host for here in of_place),
        waits_for=next((here.waits_for for here in of_place if here.host == lease.host), ""),
        standbys=[words_for(here.host, here.node) for here in of_place if here.host != lease.host],
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
