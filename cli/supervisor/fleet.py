"""The replicas of handlers that are scaled, restarted or replaced: a new one first, then an old one leaves. Pure.

A replica bears the lowest number that is free, so a restart of ``printer-0`` brings ``printer-1``. A new version whose
first replica ends before it was ready is given up as long as a replica of the version before is there.

Not here: starting processes (`processes`), their back-off (`machine`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Grow:
    """Start another replica."""

    group: str
    name: str
    index: int


@dataclass(frozen=True, slots=True)
class Shrink:
    """Let a replica finish what it is in, and leave."""

    group: str
    name: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The new version of a handler is given up, the one before goes on."""

    group: str


Step = Grow | Shrink | Kept


@dataclass(slots=True)
class _Replica:
    name: str
    index: int
    version: int
    is_ready: bool = False
    was_ready: bool = False


@dataclass(slots=True)
class _Group:
    wanted: int
    version: int = 0
    is_removed: bool = False
    replicas: dict[str, _Replica] = field(default_factory=dict)
    leaving: dict[str, int] = field(default_factory=dict)

    def of(self, *, is_new: bool) -> list[_Replica]:
        return [r for r in self.replicas.values() if (r.version == self.version) is is_new]

    def free_index(self) -> int:
        taken = {r.index for r in self.replicas.values()} | set(self.leaving.values())
        return next(i for i in range(len(taken) + 1) if i not in taken)


class Fleet:
    """All groups of a pipeline. `turn` says what is to be done next; each step is done as soon as it is returned."""

    def __init__(self, replicas: Mapping[str, int]) -> None:
        """``replicas``: how many of each group are there from the start, as ``<group>-0``, ``<group>-1`` and so on."""
        self._groups = {name: _Group(count) for name, count in replicas.items()}
        # Those that something has happened to since the last turn.
        self._touched = dict.fromkeys(self._groups)
        for name, group in self._groups.items():
            for _ in range(group.wanted):
                self._add(name, group)

    def want(self, name: str, replicas: int) -> None:
        """So many of a group, which may be a new one."""
        group = self._groups.setdefault(name, _Group(0))
        group.wanted, group.is_removed = replicas, False
        self._touched[name] = None

    def renew(self, name: str) -> None:
        """Replace all replicas of a group, one after another."""
        self._groups[name].version += 1
        self._touched[name] = None

    def remove(self, name: str) -> None:
        group = self._groups[name]
        group.wanted, group.is_removed = 0, True
        self._touched[name] = None

    def wanted(self, name: str) -> int:
        """As many replicas of the group as there are to be."""
        return self._groups[name].wanted

    def ready(self, name: str) -> list[str]:
        """The group's replicas that are ready."""
        return [r.name for r in self._groups[name].replicas.values() if r.is_ready]

    def is_settled(self, name: str) -> bool:
        """All that are wanted are there and ready, and none is left of the version before."""
        group = self._groups[name]
        new = group.of(is_new=True)
        return len(new) == group.wanted == len(group.replicas) and all(r.is_ready for r in new)

    def is_known(self, replica: str) -> bool:
        return any(replica in group.replicas or replica in group.leaving for group in self._groups.values())

    def on_ready(self, replica: str) -> None:
        for name, group in self._groups.items():
            found = group.replicas.get(replica)
            if found is not None:
                found.is_ready = found.was_ready = True
                self._touched[name] = None
                return

    def on_exit(self, replica: str) -> Kept | None:
        """The process has ended. The answer is `Kept` where that ends the attempt to replace a version."""
        for name, group in self._groups.items():
            if group.leaving.pop(replica, None) is not None:
                self._touched[name] = None
                return None
            found = group.replicas.get(replica)
            if found is None:
                continue
            found.is_ready = False
            self._touched[name] = None
            olds = group.of(is_new=False)
            if found.version == group.version and not found.was_ready and any(old.is_ready for old in olds):
                # What is older than the version that stays is replaced by the next change.
                group.version = max(old.version for old in olds)
                return Kept(name)
        return None

    def turn(self) -> list[Step]:
        steps: list[Step] = []
        touched, self._touched = self._touched, {}
        for name in touched:
            group = self._groups[name]
            taken = self._turn(name, group)
            if taken:
                # One step may be the cause of another.
                self._touched[name] = None
            steps += taken
            if group.is_removed and not group.replicas and not group.leaving:
                del self._groups[name]
                self._touched.pop(name, None)
        return steps

    def _turn(self, name: str, group: _Group) -> list[Step]:
        steps: list[Step] = []
        new, old = group.of(is_new=True), group.of(is_new=False)
        # Of a version that failed before it was ready, or one too many: the highest numbers go first.
        failed = [r for r in old if r.version > group.version]
        surplus = sorted(new, key=lambda r: (not r.is_ready, r.index))[group.wanted :]
        # An old one leaves for each new one that is ready, those that are not ready themselves first.
        spare = len(old) - len(failed) - max(0, group.wanted - sum(r.is_ready for r in new))
        olds = sorted((r for r in old if r not in failed), key=lambda r: (r.is_ready, -r.index))
        for replica in [*failed, *surplus, *olds[: max(0, spare)]]:
            del group.replicas[replica.name]
            group.leaving[replica.name] = replica.index
            steps.append(Shrink(name, replica.name))
        missing = group.wanted - len(new)
        # One at a time beside the old ones, all at once where there are none.
        for _ in range(missing if not old else min(missing, 1 - sum(not r.is_ready for r in new))):
            replica = self._add(name, group)
            steps.append(Grow(name, replica.name, replica.index))
        return steps

    def _add(self, name: str, group: _Group) -> _Replica:
        index = group.free_index()
        replica = _Replica(f"{name}-{index}", index, group.version)
        group.replicas[replica.name] = replica
        return replica
