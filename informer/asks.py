"""Requests of the command line to a worker: dead letters, forgetting a group (docs/wire.md §8)."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError
from deltawire.common.meta.keys import display_key, split_key
from deltawire.common.store.layout import Row
from deltawire.informer.groups.group import Group
from deltawire.informer.groups.state import Parked
from deltawire.informer.shard import Shard
from deltawire.informer.shared_informer import SharedInformer

LETTERS_MAX = 1000


class DeadLetterQuestion(msgspec.Struct, frozen=True):
    """``action``: list, show, retry, drop. What is left out matches all; ``key`` as people write it.

    ``where``: ``error`` is a part of the error's text, ``namespace``, ``name`` and ``kind`` are patterns with * and ?.
    """

    action: str = "list"
    group: str = ""
    informer: str = ""
    key: str = ""
    seq: int = 0
    where: dict[str, str] = {}


KINDS = {"A": "add", "U": "update", "D": "delete", "S": "resync"}
_FIELDS = ("error", "namespace", "name", "kind")


class Asks:
    """Answers for all informers of this worker."""

    def __init__(self, informers: dict[str, SharedInformer], clock: Clock) -> None:
        self._informers = informers
        self._clock = clock

    def answer(self, verb: str, arguments: dict[str, Any]) -> Any:
        """The answer's body. Raises DeltawireError to refuse."""
        try:
            if verb == "dead-letters":
                return self._dead_letters(msgspec.convert(arguments, DeadLetterQuestion))
            if verb == "key":
                return self._key(str(arguments.get("informer", "")), str(arguments.get("key", "")))
            if verb == "forget":
                return self._forget(str(arguments.get("group", "")))
        except msgspec.ValidationError as error:
            raise DeltawireError(f"{verb}: {error}") from None
        raise DeltawireError(f"a worker does not know {verb!r}")

    def _dead_letters(self, question: DeadLetterQuestion) -> dict[str, Any]:
        """``{"letters": […]}``; retry and drop return those they were done to."""
        if question.action not in ("list", "show", "retry", "drop"):
            raise DeltawireError(
                f"dead letters can be listed, shown, retried and dropped, not {question.action!r}"
            )
        if question.action in ("retry", "drop") and not question.group:
            raise DeltawireError("say whose dead letters: a handler's name")
        unknown = [field for field in question.where if field not in _FIELDS]
        if unknown:
            raise DeltawireError(
                f"dead letters have no {unknown[0]!r} to choose by", hint=f"one of {', '.join(_FIELDS)}"
            )
        letters: list[dict[str, Any]] = []
        count = 0
        for shard, group, dead in self._matching(question):
            count += 1
            if len(letters) < LETTERS_MAX:
                letters.append(_letter(shard, group, dead, with_object=question.action == "show"))
            if question.action == "retry":
                group.lot.retry_dead(dead.seq, self._clock.wall_s())
            elif question.action == "drop":
                group.lot.drop_dead(dead.seq)
        for shard in self._shards():
            shard.flush()
        return {"letters": letters, "count": count}

    def _matching(self, question: DeadLetterQuestion) -> Iterator[tuple[Shard, Group, Parked]]:
        for shard in self._shards():
            if question.informer not in ("", shard.informer):
                continue
            for group in shard.groups.values():
                if question.group not in ("", group.name):
                    continue
                for dead in group.lot.dead_letters():
                    wanted = question.key in ("", dead.key, display_key(dead.key))
                    if wanted and question.seq in (0, dead.seq) and _is_where(dead, question.where):
                        yield shard, group, dead

    def _key(self, informer: str, key: str) -> dict[str, Any]:
        """Where each group is with a key: ``{group: {state, …}}``; nothing of a key that is in no shard here."""
        places: dict[str, Any] = {}
        for shard in self._shards():
            if shard.informer != informer:
                continue
            row = shard.indexer.get(key)
            for group in shard.groups.values():
                place = _place(group, key, row)
                if place is not None:
                    places[group.name] = place
        return places

    def _forget(self, group: str) -> dict[str, Any]:
        """Remove all that is kept for a group that is not here."""
        if any(group in s.groups and s.groups[group].members.here for s in self._shards()):
            raise DeltawireError(f"handler {group!r} is running", hint="remove it first")
        forgotten = [shard.forget(group) for shard in self._shards()]
        return {"forgotten": sum(forgotten)}

    def _shards(self) -> Iterator[Shard]:
        for informer in self._informers.values():
            yield from informer.shards.values()


def _is_where(dead: Parked, where: dict[str, str]) -> bool:
    namespace, name = split_key(dead.key)
    of = {"namespace": namespace, "name": name, "kind": KINDS.get(dead.kind, dead.kind)}
    return all(
        text.lower() in dead.error.lower() if field == "error" else fnmatchcase(of[field], text)
        for field, text in where.items()
    )


def _place(group: Group, key: str, row: Row | None) -> dict[str, Any] | None:
    """What a group has to do with a key now; None if nothing."""
    flight = group.in_flight.get(key)
    if flight is not None:
        replica = flight.replica.known.name
        return {"state": f"in flight at {replica}", "seq": flight.seq, "attempts": flight.attempt}
    aside = group.lot.queue(key)
    if aside:
        return {"state": "waits for a retry", "attempts": aside[0].attempts, "error": aside[0].error}
    dead = next((letter for letter in group.lot.dead_letters() if letter.key == key), None)
    if dead is not None:
        return {"state": "dead letter", "attempts": dead.attempts, "error": dead.error}
    if row is None:
        return None
    if not group.track.is_done(row.seq):
        return {"state": "not sent yet", "seq": row.seq, "position": group.track.position}
    return {"state": "acknowledged", "version": row.version, "seq": row.seq}


def _letter(shard: Shard, group: Group, dead: Parked, *, with_object: bool) -> dict[str, Any]:
    letter: dict[str, Any] = {
        "group": group.name,
        "informer": shard.informer,
        "shard": shard.number,
        "seq": dead.seq,
        "key": display_key(dead.key),
        "kind": dead.kind,
        "uid": dead.uid,
        "version": dead.version,
        "attempts": dead.attempts,
        "error": dead.error,
    }
    if with_object:
        letter["object"] = dead.object
        if dead.object is None:
            row = shard.indexer.get(dead.key)
            letter["object"] = row.object if row is not None else None
    return letter
