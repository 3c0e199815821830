"""A backup of what groups know, restored into an empty state folder: nothing is new that was acknowledged."""

import gzip
import io
import os
import random
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deltawire.cli import backups
from deltawire.common.clock import FakeClock
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.errors import CapacityError, StateError
from deltawire.common.store import layout
from deltawire.common.store.folder import MARKER, prepare
from deltawire.common.store.layout import FINAL_STATE_UNKNOWN
from deltawire.common.wire.messages.group import EventRow as Event
from deltawire.informer.archive import backup
from deltawire.informer.groups.events import GAP
from deltawire.informer.store import identities
from tests.support.machine import Machine

KEYS = [f"k{number}" for number in range(8)]
GROUPS = ("g", "h")


class Site:
    """A machine, what the API server has, and what each group has acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machine = Machine(folder / "first")
        self.state: dict[str, tuple[str, str]] = {}
        self.version = 100
        self.uids = 0
        self.acked: dict[str, dict[str, str]] = {group: {} for group in GROUPS}
        self.fences: dict[tuple[str, str], int] = {}
        self.machine.relist("100")
        for group in GROUPS:
            self.machine.told(group)

    def change(self, key: str, kind: str) -> None:
        """``kind``: A, U, D; one that is not possible now is another one. The watch brings it while a machine is up."""
        self.version += 1
        if key not in self.state:
            self.uids += 1
            kind, self.state[key] = "A", (f"u{self.uids}", str(self.version))
        elif kind == "D":
            uid, _ = self.state.pop(key)
            self._bring("D", key, uid, str(self.version))
            return
        else:
            kind, self.state[key] = "U", (self.state[key][0], str(self.version))
        self._bring(kind, key, *self.state[key])

    def _bring(self, kind: str, key: str, uid: str, version: str) -> None:
        if self.is_up:
            self.machine.pop((kind, key, uid, version))

    is_up = True

    def handle(self, group: str) -> list[Event]:
        events = self.machine.events(group)
        for event in events:
            assert event.fence > self.fences.get((group, event.key), 0), "a fence is given out again"
            self.fences[group, event.key] = event.fence
            if event.kind == "D":
                self.acked[group].pop(event.uid, None)
            else:
                self.acked[group][event.uid] = event.version
        return events

    def taken(self) -> bytes:
        """While the worker is on; LMDB lets one process open an environment once."""
        self.machine.informer.close(clean=False)
        out = io.BytesIO()
        backup.write(out, self.machine.folder, 1, {"dev": "c1"}, FakeClock())
        self.machine.informer = self.machine._open()
        return out.getvalue()

    def lose_all_and_restore(self, data: bytes) -> backup.Counts:
        self.machine.close()
        folder = self.folder / "second"
        folder.mkdir(mode=0o700)
        counts = backup.restore(io.BytesIO(data), folder, 1, FakeClock())
        self.machine = Machine(folder)
        return counts

    def list_all(self) -> None:
        items = [(key, *self.state[key]) for key in sorted(self.state)]
        self.machine.relist(str(self.version), *items, generation=50)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.machine.close()


def test_what_was_acknowledged_does_not_come_again_and_nothing_is_new(site: Site) -> None:
    for key in KEYS:
        site.change(key, "A")
    site.handle("g")
    counts = site.lose_all_and_restore(site.taken())
    assert (counts.shards, counts.objects, counts.groups) == (1, len(KEYS), 2)
    site.list_all()
    assert site.handle("g") == []
    assert [(event.kind, event.attempt) for event in site.handle("h")] == [("A", 1)] * len(KEYS)


def test_what_changed_since_is_an_update_and_what_is_gone_a_deletion_without_content(site: Site) -> None:
    for key in ("keep", "update", "delete", "again"):
        site.change(key, "A")
    site.handle("g")
    uids = {key: uid for key, (uid, _) in site.state.items()}
    data = site.taken()
    site.lose_all_and_restore(data)
    site.is_up = False
    site.change("update", "U")
    site.change("delete", "D")
    site.change("again", "D")
    site.change("again", "A")
    site.change("new", "A")
    site.list_all()
    told = [(event.kind, event.key, event.uid) for event in site.handle("g")]
    assert sorted(told) == sorted(
        [
            ("U", "a/update", uids["update"]),
            ("D", "a/delete", uids["delete"]),
            ("D", "a/again", uids["again"]),
            ("A", "a/again", site.state["again"][0]),
            ("A", "a/new", site.state["new"][0]),
        ]
    )


def test_dead_letters_keep_their_attempts_and_errors(site: Site) -> None:
    site.change("bad", "A")
    site.change("good", "A")
    site.machine.events("g", gives_up="a/bad")
    letters = site.machine.dead_letters()
    assert [letter[:2] for letter in letters] == [("a/bad", "bad")]
    counts = site.lose_all_and_restore(site.taken())
    assert counts.parked == 1
    assert site.machine.dead_letters() == letters
    site.list_all()
    assert site.machine.told("g") == []
    assert site.machine.dead_letters() == letters


def test_fences_that_were_given_out_after_the_backup_are_below_those_that_follow(site: Site) -> None:
    site.change("a", "A")
    site.handle("g")
    data = site.taken()
    for _ in range(3):
        site.machine.kill()
    site.change("a", "U")
    site.handle("g")
    site.lose_all_and_restore(data)
    site.list_all()
    assert [event.key for event in site.handle("g")] == ["a/a"], "and its fence is higher, as `handle` checks"


def test_for_every_what_changed_since_says_that_versions_may_be_missing(site: Site) -> None:
    site.machine.events("e", delivery="every")
    for key in ("keep", "update"):
        site.change(key, "A")
    assert len(site.machine.events("e", delivery="every")) == 2
    site.lose_all_and_restore(site.taken())
    site.is_up = False
    site.change("update", "U")
    site.list_all()
    [event] = site.machine.events("e", delivery="every")
    assert (event.kind, event.key) == ("U", "a/update")
    assert event.flags & GAP
    assert site.machine.shard.groups["e"].gaps.waiting


def test_nothing_is_delivered_before_the_first_list_has_ended(site: Site) -> None:
    site.change("a", "A")
    site.lose_all_and_restore(site.taken())
    assert site.machine.told("h") == []


def test_a_crash_of_the_machine_between_restore_and_list_hides_no_deletion(site: Site) -> None:
    site.change("a", "A")
    site.change("b", "A")
    site.handle("g")
    site.lose_all_and_restore(site.taken())
    site.machine.crash()
    site.is_up = False
    site.change("b", "D")
    site.list_all()
    assert [(event.kind, event.key) for event in site.handle("g")] == [("A", "a/a"), ("D", "a/b")]


@pytest.mark.parametrize("seed", range(25))
def test_whenever_it_was_taken(site: Site, seed: int) -> None:
    draw = random.Random(seed)

    def live(steps: int) -> None:
        for _ in range(steps):
            site.change(draw.choice(KEYS), draw.choice("AUUD"))
            if draw.random() < 0.3:
                site.handle(draw.choice(GROUPS))
            if draw.random() < 0.1:
                site.machine.kill()

    live(draw.randrange(30))
    data = site.taken()
    acked = {group: dict(known) for group, known in site.acked.items()}
    live(draw.randrange(30))
    site.lose_all_and_restore(data)
    site.is_up = False
    for _ in range(draw.randrange(5)):
        site.change(draw.choice(KEYS), draw.choice("AUUD"))
    site.list_all()
    now = dict(site.state.values())
    for group in GROUPS:
        known = acked[group]
        got: dict[str, list[Event]] = {}
        for event in site.handle(group):
            got.setdefault(event.uid, []).append(event)
        for uid, events in got.items():
            assert len({event.version for event in events}) == len(events)
            assert (uid, events[-1].version) not in known.items() or events[-1].kind == "D"
            assert not (uid in known and any(event.kind == "A" for event in events)), "new again"
        for uid, version in known.items():
            if uid not in now:
                assert [event.kind for event in got[uid]][-1] == "D"
                assert got[uid][-1].flags & FINAL_STATE_UNKNOWN or got[uid][-1].version
            else:
                assert now[uid] == (got[uid][-1].version if uid in got else version)
        for uid, version in now.items():
            assert uid in known or got[uid][-1].version == version
        assert site.machine.events(group) == []


# ---- what is no backup


def test_a_folder_that_holds_caches_is_left_alone(site: Site) -> None:
    data = site.taken()
    with pytest.raises(StateError, match="holds caches"):
        backup.restore(io.BytesIO(data), site.machine.folder, 1, FakeClock())


def test_a_folder_that_holds_a_ledger_and_no_cache_is_left_alone(site: Site, tmp_path: Path) -> None:
    """What groups know is in the ledger, too: a backup would be mixed with it."""
    data, folder = site.taken(), tmp_path / "of-ledgers"
    kept = folder / "c1" / "pods" / "ledger-0" / "data.mdb"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"kept")
    with pytest.raises(StateError, match="holds a ledger"):
        backup.restore(io.BytesIO(data), folder, 1, FakeClock())
    assert [path for path in folder.rglob("*") if path.is_file()] == [kept]


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _without_end(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data)[:-1])


def _flipped(data: bytes) -> bytes:
    return data[:-6] + bytes([data[-6] ^ 1]) + data[-5:]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut, "cannot be read"),
        (_without_end, "is cut"),
        (_flipped, "cannot be read"),
        (lambda data: b"", "cannot be read"),
        (lambda data: b"text", "cannot be read"),
        (lambda data: gzip.compress(b"\x07"), "cannot be read"),
        (lambda data: gzip.compress(b"\xc1"), "cannot be read"),
    ],
    ids=["half", "no end", "a flipped bit", "empty", "no gzip", "another value", "no msgpack"],
)
def test_a_file_that_is_no_whole_backup_is_refused(
    site: Site, tmp_path: Path, spoil: Callable[[bytes], bytes], said: str
) -> None:
    for key in KEYS:
        site.change(key, "A")
    data = spoil(site.taken())
    (tmp_path / "third").mkdir(mode=0o700)
    with pytest.raises(StateError, match=said):
        backup.restore(io.BytesIO(data), tmp_path / "third", 1, FakeClock())
    assert list((tmp_path / "third").iterdir()) == []


def _large(site: Site) -> bytes:
    """A backup whose end is not read together with its first shard."""
    for number in range(3000):
        site.change(f"{random.Random(number).randbytes(30).hex()}", "A")
    return site.taken()


def test_a_damaged_file_is_noticed_before_anything_is_written(site: Site, tmp_path: Path) -> None:
    data = _large(site)
    assert len(data) > 100_000
    (tmp_path / "third").mkdir(mode=0o700)
    for spoilt in (_flipped(data), data[:-200], data + b"more", gzip.compress(gzip.decompress(data) + b"x")):
        with pytest.raises(StateError, match="the backup"):
            backup.restore(io.BytesIO(spoilt), tmp_path / "third", 1, FakeClock())
        assert list((tmp_path / "third").iterdir()) == []
    assert backup.restore(io.BytesIO(data), tmp_path / "third", 1, FakeClock()).shards == 1


def test_what_a_whole_file_holds_is_one_line_or_restored_whatever_it_is(site: Site, tmp_path: Path) -> None:
    for key in KEYS:
        site.change(key, "A")
    raw, chance, refused = gzip.decompress(site.taken()), random.Random(1), 0
    for number in range(150):
        place = chance.randrange(len(raw))
        data = raw[:place] + bytes([raw[place] ^ 1 << chance.randrange(8)]) + raw[place + 1 :]
        folder = tmp_path / str(number)
        folder.mkdir(mode=0o700)
        try:
            backup.restore(io.BytesIO(gzip.compress(data)), folder, 1, FakeClock())
        except StateError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 20


def test_a_backup_of_a_newer_version_or_other_shards_is_refused(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = site.taken()
    with pytest.raises(StateError, match="the backup is of 1 shards, the config says 4"):
        backup.restore(io.BytesIO(data), tmp_path / "third", 4, FakeClock())
    monkeypatch.setattr(layout, "SCHEMA", layout.SCHEMA - 1)
    with pytest.raises(StateError, match="use the version that wrote it"):
        backup.restore(io.BytesIO(data), tmp_path / "third", 1, FakeClock())


# ---- files that are none


@pytest.fixture
def plan(site: Site) -> Plan:
    """Of the state folder, whose worker has ended."""
    site.change("a", "A")
    site.machine.informer.close(clean=True)
    (site.machine.folder / MARKER).write_text('{"schema": 1, "shards": 1}')
    return _plan(site.folder, site.machine.folder)


@pytest.fixture
def empty(tmp_path: Path) -> Plan:
    """Of a folder that is not there yet."""
    return _plan(tmp_path, tmp_path / "empty")


def _plan(folder: Path, store: Path) -> Plan:
    config = folder / "deltawire.yaml"
    config.write_text(
        f"version: 1\nclusters: {{dev: {{}}}}\ninformers: [{{resource: pods}}]\n"
        f"store: {{shards: 1, dir: {store}}}\n"
    )
    return Plan(load(config))


def test_a_pipe_or_a_device_is_written_to_and_stays_what_it_is(
    site: Site, plan: Plan, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    assert backups.write_file(plan, pipe).objects == 1
    reader.join()
    assert pipe.is_fifo()
    (tmp_path / "third").mkdir(mode=0o700)
    assert backup.restore(io.BytesIO(found[0]), tmp_path / "third", 1, FakeClock()).objects == 1
    device = tmp_path / "device"
    device.symlink_to("/dev/full")
    with pytest.raises(StateError, match="cannot be written: No space left"):
        backups.write_file(plan, device)


def test_a_cache_that_was_cut_is_named_and_no_backup_is_made_of_it(
    site: Site, plan: Plan, tmp_path: Path
) -> None:
    (data,) = site.machine.folder.glob("*/*/*/shard-0/data.mdb")
    os.truncate(data, 8192)
    with pytest.raises(StateError, match="shard-0 is damaged"):
        backups.write_file(plan, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_a_backup_comes_from_a_pipe_as_well(site: Site, plan: Plan, tmp_path: Path) -> None:
    out = io.BytesIO()
    backups.write(plan, out)
    shutil.rmtree(site.machine.folder)
    assert backups.restore_stream(plan, io.BytesIO(out.getvalue())).objects == 1


@pytest.mark.parametrize("room", [0, 50_000, 250_000, 300_000, 600_000])
def test_a_restore_without_room_says_so_and_leaves_nothing(
    site: Site, empty: Plan, tmp_path: Path, room: int
) -> None:
    file = tmp_path / "backup"
    file.write_bytes(_large(site))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises((CapacityError, StateError), match=r"is full|File too large") as found:
            backups.restore_file(empty, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "goes on by itself" not in str(found.value)
    assert [path.name for path in empty.store_dir.iterdir() if path.suffix != ".lock"] == []
    assert backups.restore_file(empty, file).objects == 3000


def test_a_restore_without_room_leaves_a_folder_that_knew_the_cluster_as_it_was(
    site: Site, empty: Plan, tmp_path: Path
) -> None:
    prepare(empty.store_dir, empty.shards)
    identities.remember(empty.store_dir, "c1", "an address")
    found = {path for path in empty.store_dir.rglob("*") if path.suffix != ".lock"}
    file = tmp_path / "backup"
    file.write_bytes(_large(site))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises((CapacityError, StateError), match=r"is full|File too large"):
            backups.restore_file(empty, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {path for path in empty.store_dir.rglob("*") if path.suffix != ".lock"} == found
    prepare(empty.store_dir, empty.shards)
    assert backups.restore_file(empty, file).objects == 3000


def test_half_of_a_restore_is_taken_by_another_restore_only(
    site: Site, empty: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.change("k1", "A")
    file = tmp_path / "backup"
    file.write_bytes(site.taken())
    child = os.fork()
    if not child:
        monkeypatch.setattr(identities, "remember", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        backups.restore_file(empty, file)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert list(empty.store_dir.glob("*/*/*/shard-*"))
    with pytest.raises(StateError, match="half of a backup"):
        prepare(empty.store_dir, empty.shards)
    with pytest.raises(StateError, match="half of a backup"):
        backups.write(empty, io.BytesIO())
    assert backups.restore_file(empty, file).objects == 1
    prepare(empty.store_dir, empty.shards)
