"""DeltaFIFO against a model that is simple enough to be believed: one flat log in arrival order."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deltawire.fifo.delta_fifo import DeltaFIFO
from deltawire.fifo.deltas import Deltas, DeltaType, Tombstone

Thing = tuple[str, int]  # name, value
Entry = tuple[str, DeltaType, Any]

NAMES = st.sampled_from("abcde")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["add", "update", "delete", "bury"]), NAMES),
        st.tuples(st.just("replace"), st.sets(NAMES)),
        st.tuples(st.sampled_from(["resync", "pop"]), st.none()),
    ),
    max_size=40,
)


class Store:
    """The consumer: applies what it pops."""

    def __init__(self) -> None:
        self.things: dict[str, Thing] = {}

    def list_keys(self) -> Iterable[str]:
        return list(self.things)

    def get_by_key(self, key: str) -> Thing | None:
        return self.things.get(key)

    def apply(self, deltas: Deltas[Thing], is_in_initial_list: bool) -> None:
        for delta in deltas:
            if isinstance(delta.obj, Tombstone):
                self.things.pop(delta.obj.key, None)
            elif delta.type is DeltaType.DELETED:
                self.things.pop(delta.obj[0], None)
            else:
                self.things[delta.obj[0]] = delta.obj


class Model:
    """All that was ever queued and not popped, as one log; grouping and dedup happen when it is read."""

    def __init__(self, store: Store) -> None:
        self.log: list[Entry] = []
        self.store = store

    def queued(self, name: str) -> bool:
        return any(key == name for key, _, _ in self.log)

    def put(self, name: str, kind: DeltaType, obj: Any) -> None:
        if kind is not DeltaType.DELETED or self.queued(name) or name in self.store.things:
            self.log.append((name, kind, obj))

    def replace(self, things: list[Thing]) -> None:
        named = {name for name, _ in things}
        gone = [name for name in dict.fromkeys(key for key, _, _ in self.log) if name not in named]
        gone += [name for name in self.store.things if name not in named and name not in gone]
        buried = [(name, DeltaType.DELETED, Tombstone(name, self.newest_kept(name))) for name in gone]
        self.log += [(thing[0], DeltaType.REPLACED, thing) for thing in things]
        self.log += buried

    def newest_kept(self, name: str) -> Any:
        kept = self.group(name)
        if not kept:
            return self.store.things[name]
        obj = kept[-1][1]
        return obj.obj if isinstance(obj, Tombstone) else obj

    def resync(self) -> None:
        for name, thing in self.store.things.items():
            if not self.queued(name):
                self.log.append((name, DeltaType.SYNC, thing))

    def group(self, name: str) -> list[tuple[DeltaType, Any]]:
        kept: list[tuple[DeltaType, Any]] = []
        for key, kind, obj in self.log:
            if key != name:
                continue
            if kept and kept[-1][0] is kind is DeltaType.DELETED:
                if isinstance(kept[-1][1], Tombstone):
                    kept[-1] = (kind, obj)
                continue
            kept.append((kind, obj))
        return kept

    def pop(self) -> list[tuple[DeltaType, Any]]:
        name = self.log[0][0]
        group = self.group(name)
        self.log = [entry for entry in self.log if entry[0] != name]
        return group


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_any_history_pops_as_the_flat_log_says(steps: list[tuple[str, Any]]) -> None:
    store = Store()
    fifo: DeltaFIFO[Thing] = DeltaFIFO(lambda thing: thing[0], known_objects=store)
    model = Model(store)

    def pop_and_compare() -> None:
        expected = model.pop()
        assert [(delta.type, delta.obj) for delta in fifo.pop(store.apply, 1)] == expected

    for value, (verb, what) in enumerate(steps):
        if verb == "add":
            fifo.add((what, value))
            model.put(what, DeltaType.ADDED, (what, value))
        elif verb == "update":
            fifo.update((what, value))
            model.put(what, DeltaType.UPDATED, (what, value))
        elif verb == "delete":
            fifo.delete((what, value))
            model.put(what, DeltaType.DELETED, (what, value))
        elif verb == "bury":
            fifo.delete(Tombstone(what, None))
            model.put(what, DeltaType.DELETED, Tombstone(what, None))
        elif verb == "replace":
            things = [(name, value) for name in sorted(what)]
            fifo.replace(things, str(value))
            model.replace(things)
        elif verb == "resync":
            fifo.resync()
            model.resync()
        elif model.log:
            pop_and_compare()
        names = list(dict.fromkeys(key for key, _, _ in model.log))
        assert fifo.keys() == names
        assert fifo.pending == sum(len(model.group(name)) for name in names)
    while model.log:
        pop_and_compare()
    assert len(fifo) == 0
    assert fifo.counters.queued == fifo.counters.popped + fifo.counters.deduplicated


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["put", "drop", "pop", "resync"]), NAMES, st.booleans()), max_size=60),
    st.booleans(),
)
def test_a_list_repairs_every_event_that_was_missed(
    steps: list[tuple[str, str, bool]], synced_first: bool
) -> None:
    """A server whose watch loses events (the boolean); after one list the consumer holds what it holds."""
    server: dict[str, Thing] = {}
    store = Store()
    fifo: DeltaFIFO[Thing] = DeltaFIFO(lambda thing: thing[0], known_objects=store)
    if synced_first:
        fifo.replace([], "0")
    for value, (verb, name, is_heard) in enumerate(steps):
        if verb == "put":
            is_new = name not in server
            server[name] = (name, value)
            if is_heard:
                (fifo.add if is_new else fifo.update)(server[name])
        elif verb == "drop" and name in server:
            last = server.pop(name)
            if is_heard:
                fifo.delete(last)
        elif verb == "resync":
            fifo.resync()
        elif verb == "pop" and len(fifo):
            fifo.pop(store.apply, 1)
    fifo.replace(list(server.values()), "99")
    while len(fifo):
        fifo.pop(store.apply, 1)
    assert store.things == server
    assert fifo.has_synced()
