"""The processes that report to a hub, which it did not start: names, lives and silence. Pure."""

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deltawire.cli.supervisor.machine import Phase
from deltawire.cli.supervisor.reports import rejected_of
from deltawire.cli.supervisor.status_types import ProcessStatus

log = logging.getLogger(__name__)

# Names that are remembered; replicas of handlers that come and go under new names use them up.
REPORTERS_MAX = 1000
# Earlier lives of a name that are recognised if they speak again.
LIVES_KEPT = 8


@dataclass(slots=True)
class _Reporter:
    role: str
    nonce: str = ""
    pid: int = 0
    turns: int = 0
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    cpu_before_s: float = 0.0
    rejected: int = 0
    restarts: int = 0
    heard_at_s: float = float("-inf")
    earlier: deque[str] = field(default_factory=lambda: deque(maxlen=LIVES_KEPT))
    is_doubled: bool = False


class Reporters:
    """``expected``: name → role of those that must be there; others are known when they report.

    Where each process has a pid namespace of its own, all pids are the same: a life is known by its nonce.
    """

    def __init__(self, expected: Mapping[str, str], *, silent_s: float) -> None:
        self._silent_s = silent_s
        self._known = {name: _Reporter(role) for name, role in expected.items()}
        self.ignored = 0

    def on_status(self, name: str, report: Mapping[str, Any], now_s: float) -> int:
        """A number for the life that a report is of, 0 if the report is to be ignored."""
        nonce = str(report.get("nonce") or "")
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= REPORTERS_MAX:
                self.ignored += 1
                return 0
            known = self._known[name] = _Reporter(str(report.get("role") or ""))
        if nonce in known.earlier:
            if not known.is_doubled:
                log.warning("two processes call themselves %s: give each its own --index", name)
            known.is_doubled = True
            self.ignored += 1
            return 0
        if nonce != known.nonce:
            if known.nonce:
                known.earlier.append(known.nonce)
                known.restarts += 1
                known.cpu_before_s += known.cpu_s
            known.nonce = nonce
        known.pid, known.turns = int(report.get("pid") or 0), int(report.get("turns") or 0)
        known.rss_mb, known.cpu_s = float(report.get("rss_mb") or 0), float(report.get("cpu_s") or 0)
        known.rejected = rejected_of(report)
        known.heard_at_s = now_s
        return int(nonce, 16) if nonce else 1

    def statuses(self, now_s: float) -> dict[str, ProcessStatus]:
        """By name: waiting (no report yet), ready, or silent."""
        return {name: self._status(known, now_s) for name, known in self._known.items()}

    def _status(self, known: _Reporter, now_s: float) -> ProcessStatus:
        if not known.nonce:
            return ProcessStatus(role=known.role, state=Phase.WAITING.value)
        is_silent = now_s - known.heard_at_s > self._silent_s
        return ProcessStatus(
            role=known.role,
            state=(Phase.SILENT if is_silent else Phase.READY).value,
            pid=known.pid,
            restarts=known.restarts,
            rss_mb=known.rss_mb,
            cpu_s=round(known.cpu_before_s + known.cpu_s, 2),
            turns=known.turns,
            rejected=known.rejected,
        )
