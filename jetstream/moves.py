"""Who has a worker's place (``worker-0``) and who waits for it, asked of the workers; an order to pass it on.

Questions go over plain subjects, which nothing keeps: who does not answer is not there.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import msgspec

from deltawire.jetstream.connection import Connection, NatsError
from deltawire.jetstream.hosts import words_for
from deltawire.jetstream.settings import NatsSettings
from deltawire.jetstream.states import WorkerState

T = TypeVar("T")
K = TypeVar("K")
# Answers are waited for so long, and so long after the last one.
WHO_S, QUIET_S = 1.5, 0.4
# Who wants to hear of workers on busy hosts, too, waits so long for all.
ALL_S = 3.0
# Answers that wait to be read; one more is waited for.
ANSWERS_MAX = 1000
# The answer to an order.
GIVE_S = 5.0


class Here(msgspec.Struct, frozen=True, kw_only=True):
    """A worker, as it says itself. ``host``: the name of its state folder, ``node``: of its machine.

    ``holds``: the place is its own; ``works``: and its shards are being worked on. ``gives_to``: the host that it is
    passing the place on to. ``waits_for``: the host, in words, that had the place last and is waited for. ``clusters``:
    name → id of those whose caches it has open. ``state``: of its informers; None while it does not work, and of a
    worker of an earlier version.
    """

    place: str
    host: str
    node: str
    holds: bool = False
    works: bool = False
    gives_to: str = ""
    waits_for: str = ""
    clusters: dict[str, str] = {}
    state: WorkerState | None = None


class Give(msgspec.Struct, frozen=True):
    """The order to pass the place on to a host that waits for it. ``anew``: to this host, which has the place's lease:
    it is to begin without what the host that it waits for has on its disk."""

    to: str
    node: str = ""
    anew: bool = False


encode = msgspec.json.encode
_decode_here = msgspec.json.Decoder(Here).decode
decode_order = msgspec.json.Decoder(Give).decode


def who_subject(settings: NatsSettings) -> str:
    return settings.subject("places")


def give_subject(settings: NatsSettings, place: str, host: str) -> str:
    return settings.subject("places", place, host)


async def who_is_there(
    connection: Connection, *, is_patient: bool = False, wanted: Collection[tuple[str, str]] = ()
) -> list[Here]:
    """All workers that answer, holders of places and those who wait for one. Waits for a connection.

    ``is_patient``: for `ALL_S`, however soon the first ones have answered. ``wanted``: (place, host) of those that are
    waited for so long, where they do not answer sooner.
    """
    found = await gather(
        connection,
        who_subject(connection.settings),
        _decode_here,
        lambda here: (here.place, here.host),
        within_s=ALL_S if is_patient or wanted else WHO_S,
        is_enough=lambda found: not is_patient and all(one in found for one in wanted),
    )
    return sorted(found.values(), key=lambda here: (here.place, not here.holds, here.host))


async def gather(
    connection: Connection,
    subject: str,
    decode: Callable[[bytes], T],
    key: Callable[[T], K],
    *,
    within_s: float,
    is_enough: Callable[[dict[K, T]], bool],
) -> dict[K, T]:
    """The answers to a question on a plain subject, by their ``key``. Waits for a connection.

    ``within_s`` for all; once ``is_enough``, `QUIET_S` after the last one.
    """
    await connection.connected()
    client = connection.client
    inbox = client.new_inbox()
    answers: asyncio.Queue[Any] = asyncio.Queue(ANSWERS_MAX)
    subscription = await client.subscribe(inbox, cb=answers.put)
    found: dict[K, T] = {}
    try:
        await client.publish(subject, b"", reply=inbox)
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + within_s
        while (left_s := deadline_s - loop.time()) > 0:
            try:
                wait_s = min(left_s, QUIET_S) if found and is_enough(found) else left_s
                message = await asyncio.wait_for(answers.get(), wait_s)
            except TimeoutError:
                break
            try:
                answer = decode(message.data)
            except msgspec.MsgspecError:
                continue  # of another version, or nobody of ours
            found[key(answer)] = answer
    finally:
        await subscription.unsubscribe()
    return found


async def order(connection: Connection, holder: Here, give: Give) -> None:
    """Have ``holder`` pass its place on. Raises NatsError where it will not, or does not answer."""
    import nats.errors

    subject = give_subject(connection.settings, holder.place, holder.host)
    where = words_for(holder.host, holder.node)
    try:
        answer = await connection.client.request(subject, encode(give), timeout=GIVE_S)
    except nats.errors.Error:
        raise NatsError(
            f"{where}, which has {holder.place}, does not answer",
            hint="if it has ended, another host has the place within 6 s",
        ) from None
    if answer.data:
        raise NatsError(f"{where}: {answer.data.decode(errors='replace')}")
