"""The last report of each process, with what its earlier lives had counted. Pure."""

from collections.abc import ItemsView, Mapping
from typing import Any

from deltawire.cli.supervisor.counters import COUNTERS, Carried
from deltawire.cli.supervisor.report_maps import map_at
from deltawire.cli.supervisor.reports import rejected_of


class Reported:
    """Reports are the maps of docs/status.md, as `reports.fault_of` lets them pass. A field that is missing counts as
    zero: a process may be of any version."""

    def __init__(self) -> None:
        self._by_name: dict[str, tuple[str, Carried]] = {}
        self._by_role: dict[str, dict[str, Carried]] = {}
        # Handlers' processes by their group, and the other way round.
        self._by_group: dict[str, dict[str, Carried]] = {}
        self._group_of: dict[str, str] = {}

    def take(self, name: str, report: dict[str, Any], now_s: float) -> str:
        """A report of process ``name``, at the monotonic instant ``now_s``. The role that the name has."""
        known = self._by_name.get(name)
        if known is None:
            known = self._by_name[name] = (str(report.get("role", "")), Carried())
            self._by_role.setdefault(known[0], {})[name] = known[1]
        role, carried = known
        carried.take(int(report.get("pid", 0)), report, now_s, COUNTERS)
        if role == "handler":
            self._belongs(name, str(report.get("group") or ""), carried)
        return role

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def of(self, name: str) -> Carried:
        """Of a process that has reported."""
        return self._by_name[name][1]

    def latest(self, name: str) -> Mapping[str, Any]:
        """The last report of a process; an empty one of one that has not reported."""
        known = self._by_name.get(name)
        return known[1].latest if known else {}

    def of_role(self, role: str) -> ItemsView[str, Carried]:
        """Name → reports of all processes of a role."""
        return self._by_role.get(role, {}).items()

    def of_group(self, group: str) -> list[Carried]:
        """Of all processes of a handler."""
        return list(self._by_group.get(group, {}).values())

    def since(self, since_s: float, role: str) -> bool:
        """True if every known process of ``role`` has reported after ``since_s``."""
        carried = self._by_role.get(role, {}).values()
        return bool(carried) and all(c.received_at_s > since_s for c in carried)

    def sum(self, role: str, *path: str) -> int:
        """A number over all processes of a role; of a counter, with what earlier lives had counted."""
        return sum(
            int(map_at(carried.latest, *path[:-1]).get(path[-1]) or 0) + carried.before(*path)
            for carried in self._by_role.get(role, {}).values()
        )

    def first(self, role: str, *path: str) -> Any:
        """What the first process of a role says at ``path``; None where there is none."""
        for carried in self._by_role.get(role, {}).values():
            return map_at(carried.latest, *path[:-1]).get(path[-1])
        return None

    def turns(self, name: str) -> int:
        """How often the main loop of a process has turned, as last reported."""
        return int(self.latest(name).get("turns") or 0)

    def rejected(self, name: str) -> int:
        """What a process has rejected in its present life, as last reported."""
        return rejected_of(self.latest(name))

    def _belongs(self, name: str, group: str, carried: Carried) -> None:
        before = self._group_of.get(name)
        if before == group:
            return
        if before is not None:
            self._by_group[before].pop(name)
        self._group_of[name] = group
        self._by_group.setdefault(group, {})[name] = carried
