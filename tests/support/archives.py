"""An archive in memory, and workers on hosts with disks of their own that share it."""

from collections.abc import Callable
from pathlib import Path

from deltawire.common.clock import FakeClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.informer.archive.port import ArchiveUnavailable, FencedError
from deltawire.informer.shard import Shard
from deltawire.informer.shared_informer import SharedInformer


class Killed(BaseException):
    """The worker dies here."""


class FakeLog:
    """The log of one shard. ``trouble`` is called before each append, and after it with True; it may raise."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, bytes]] = []
        self.newest = 0
        self.trouble: Callable[[bool], None] = lambda is_kept: None
        self.is_away = False

    def view(self) -> "FakeArchive":
        return FakeArchive(self)


class FakeArchive:
    """What one worker has of a log."""

    def __init__(self, log: FakeLog) -> None:
        self._log = log

    def read(self) -> list[tuple[int, bytes]]:
        self._must_answer()
        return list(self._log.entries)

    def tail(self) -> tuple[int, bytes] | None:
        self._must_answer()
        return self._log.entries[-1] if self._log.entries else None

    def append(self, data: bytes, after: int) -> int:
        self._must_answer()
        log = self._log
        log.trouble(False)
        if after != (log.entries[-1][0] if log.entries else 0):
            raise FencedError("another worker has written")
        log.newest += 1
        log.entries.append((log.newest, bytes(data)))
        log.trouble(True)
        return log.newest

    def drop_before(self, revision: int) -> None:
        self._log.entries = [entry for entry in self._log.entries if entry[0] >= revision]

    def close(self) -> None:
        pass

    def _must_answer(self) -> None:
        if self._log.is_away:
            raise ArchiveUnavailable("the archive does not answer")


PLAN = Plan(parse({"version": 1, "clusters": {"dev": {}}, "informers": [{"resource": "pods"}]}))


class Host:
    """A disk; `start` makes a worker with the one shard."""

    lives = 0

    def __init__(self, folder: Path, log: FakeLog, clock: FakeClock, dead: set[str]) -> None:
        self.folder = folder
        self.log = log
        self.clock = clock
        self.dead = dead
        self.informer: SharedInformer | None = None

    def start(self, boot_id: str = "boot") -> Shard:
        """Open the shard; the worker before, if any, was killed."""
        self.kill()
        Host.lives += 1
        informer = SharedInformer(
            PLAN.informers["dev/pods"], [0], 1, store_dir=self.folder, owner=f"w{Host.lives}",
            boot_id=boot_id, lease_s=1.0, is_dead=lambda known: known.nonce in self.dead, clock=self.clock,
            archive_of=lambda cluster, resource, number: self.log.view(),
        )  # fmt: skip
        assert informer.open("c1")
        self.informer = informer
        return informer.shards[0]

    def kill(self) -> None:
        if self.informer is not None:
            self.informer.close(clean=False)
            self.informer = None
