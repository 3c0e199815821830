"""A disk that is full or read-only, a cache that is damaged: named, healed where that is safe, and only the informer
that is hit stands still (P7, P8)."""

import errno
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import CapacityError
from deltawire.common.store.folder import CLUSTERS, last_cluster_id
from deltawire.informer import shared_informer
from deltawire.informer.shared_informer import SharedInformer
from deltawire.informer.store import identities, indexer
from deltawire.informer.store.damage import can_be_read
from deltawire.informer.store.identities import remember_name
from deltawire.informer.store.trouble import DamagedError, explain
from tests.behaviour.test_informer_worker import PODS, Rig
from tests.support.messages import work
from tests.support.shard_rig import body_of


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(shared_informer, "RETRY_S", 0.2)
    rig = Rig(tmp_path)
    yield rig
    rig.close()


@pytest.fixture
def file_limit() -> Iterator[None]:
    """A test may make files end where a disk would be full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def limit_files(size_bytes: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))


@pytest.mark.parametrize("fits_bytes", [0, 10_000], ids=["nothing fits", "a write is cut"])
def test_an_informer_without_room_says_so_the_others_go_on_and_it_resumes_by_itself(
    rig: Rig, file_limit: None, fits_bytes: int
) -> None:
    worker = rig.start()
    broker, replica = rig.broker(), rig.replica()
    broker.open()
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(replica.events, "the event")
    replica.acknowledge(*replica.events())
    rig.until(lambda: broker.acked() == 3, "the list to be stored")
    data = worker.informers[PODS].shards[0].indexer.folder / "data.mdb"
    limit_files(data.stat().st_size + fits_bytes)
    broker.number += 1
    big = body_of("a/big", "u2", "101", pad="x" * 3_000_000)
    delta = [broker.number, "A", "*", "u2", "101", 1, big]
    broker.send("pop", PODS, 0, "b1", broker.number, broker.number, [["a", "big", [delta]]], [])
    rig.until(lambda: worker.status()["informers"][PODS]["error"], "the error")
    error = worker.status()["informers"][PODS]["error"]
    assert str(data) in error
    assert "full" in error
    assert worker.status()["informers"][PODS]["as_of"] == 0
    assert not broker.said("failed")
    assert not worker.status()["informers"]["dev/nodes"]["error"]
    limit_files(resource.RLIM_INFINITY)
    rig.until(lambda: not worker.status()["informers"][PODS]["error"], "it to go on")
    rig.until(lambda: len(replica.events()) == 2, "the event")
    rig.until(lambda: broker.acked() == broker.number, "the ack")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder is a mount that takes no writes, for the length of the block; skips where mounts are not allowed."""

    def mount(*arguments: str) -> bool:
        done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, check=False)
        return done.returncode == 0

    if shutil.which("mount") is None or not mount("--bind", str(folder)):
        pytest.skip("a read-only mount needs the rights of root in the machine or the container")
    try:
        if not mount("-o", "remount,bind,ro"):
            pytest.skip("this kernel makes no bind mount read-only")
        yield
    finally:
        # Lazily: files opened in the block may still be open.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_cache_on_a_read_only_mount_is_named_the_others_go_on_and_it_resumes_by_itself(rig: Rig) -> None:
    worker = rig.start()
    broker = rig.broker()
    broker.open()
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(lambda: broker.acked() == 3, "the list to be stored")
    folder = worker.informers[PODS].shards[0].indexer.folder
    before = broker.identity
    rig.stop()
    broker.heard.clear()
    cache = next(parent for parent in folder.parents if parent.name == "pods")
    with read_only(cache):
        worker = rig.start()
        rig.until(lambda: broker.identity not in (b"", before), "a hello of the worker")
        broker.send("open", PODS, "c1")
        broker.open(informer="dev/nodes")
        rig.until(lambda: worker.status()["informers"][PODS]["error"], "the error")
        error = worker.status()["informers"][PODS]["error"]
        assert str(cache) in error
        assert "it goes on by itself" in error
        assert worker.status()["informers"][PODS]["as_of"] == 0
        assert not worker.status()["informers"]["dev/nodes"]["error"]
        assert not broker.said("failed")
    rig.until(lambda: not worker.status()["informers"][PODS]["error"], "it to go on")
    rig.until(lambda: any(body[0] == PODS for body in broker.said("shard")), "the shard's state")
    assert worker.informers[PODS].shards[0].indexer.count() == 1


def plan_of(folder: Path, **options: object) -> Plan:
    config = {
        "version": 1,
        "clusters": {"dev": {}},
        "store": {"dir": str(folder / "state"), "shards": 1},
        "runtime": {"dir": str(folder / "run")},
        "informers": [{"resource": "pods", **options}],
    }
    return Plan(parse(config))


def informer_of(plan: Plan, clock: FakeClock) -> SharedInformer:
    return SharedInformer(
        plan.informers[PODS], [0], 1, store_dir=plan.store_dir, owner="w", boot_id="boot", lease_s=6.0,
        is_dead=lambda known: True, clock=clock,
    )  # fmt: skip


def fill(informer: SharedInformer, count: int = 60) -> None:
    shard = informer.shards[0]
    shard.apply([work("begin", ["b", 1, "*", 1])])
    rows = [
        [
            "a",
            f"k{n}",
            [[2 + n, "R", "*", f"u{n}", str(10 + n), 1, body_of(f"a/k{n}", f"u{n}", "10", pad="x" * 3000)]],
        ]
        for n in range(count)
    ]
    shard.apply([work("pop", ["b", 2, count + 1, rows, []])])
    shard.apply([work("end", ["b", count + 2, "*", 1, count, "100"])])
    shard.keep_ledger()


def test_over_max_bytes_it_stands_still_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    clock = FakeClock()
    informer = informer_of(plan_of(tmp_path, max_bytes="150KiB"), clock)
    assert informer.open("c1")
    fill(informer)
    with pytest.raises(CapacityError) as found:
        informer.check_bounds()
    informer.pause(found.value)
    assert informer.is_paused
    assert informer.may_write
    assert not informer.begin_try()
    clock.advance(shared_informer.RETRY_S)
    assert informer.begin_try()
    assert not informer.is_trying  # far over: nothing more is stored
    with pytest.raises(CapacityError):
        informer.end_try()
    shard = informer.shards[0]
    shard.apply([work("begin", ["b", 63, "*", 2])])
    shard.apply([work("end", ["b", 64, "*", 2, 0, "200"])])
    informer.end_try()
    assert not informer.error
    informer.close(clean=True)


def cut(data: Path) -> None:
    with data.open("r+b") as file:
        file.truncate(data.stat().st_size // 2)


def empty(data: Path) -> None:
    data.write_bytes(b"")


def zero_the_head(data: Path) -> None:
    with data.open("r+b") as file:
        file.write(bytes(8192))


def garbage(data: Path) -> None:
    data.write_bytes(b"no cache at all" * 10_000)


@pytest.mark.parametrize("damage", [cut, empty, zero_the_head, garbage])
def test_a_damaged_cache_is_made_anew_and_the_ledger_knows_what_may_be_gone(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    plan = plan_of(tmp_path)
    informer = informer_of(plan, clock)
    assert informer.open("c1")
    fill(informer)
    data = informer.shards[0].indexer.folder / "data.mdb"
    informer.close(clean=True)
    damage(data)  # type: ignore[operator]
    informer = informer_of(plan, clock)
    assert informer.open("c1")
    shard = informer.shards[0]
    assert shard.indexer.count() == 0
    assert shard.report()["*"][0] == ""  # a list must be made
    assert shard.indexer.has_lost
    assert shard.progress.streams["*"].lost_from == "100"
    assert damage is empty or str(data) in caplog.text
    informer.close(clean=True)


def test_a_file_that_only_looks_short_is_not_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    plan = plan_of(tmp_path)
    informer = informer_of(plan, clock)
    assert informer.open("c1")
    fill(informer)
    folder = informer.shards[0].indexer.folder
    informer.close(clean=True)
    assert can_be_read(folder)
    cut(folder / "data.mdb")
    assert not can_be_read(folder)


def test_what_is_found_damaged_while_it_is_used_is_not_opened_again(tmp_path: Path) -> None:
    clock = FakeClock()
    plan = plan_of(tmp_path)
    informer = informer_of(plan, clock)
    assert informer.open("c1")
    fill(informer)
    folder = informer.shards[0].indexer.folder
    with pytest.raises(DamagedError) as found, informer.shards[0].indexer.batch():
        raise msgspec.DecodeError("no row")
    assert str(folder / "data.mdb") in str(found.value)
    informer.discard_damaged(found.value)
    informer.close(clean=False)
    informer = informer_of(plan, clock)
    assert informer.open("c1")
    assert informer.shards[0].indexer.folder != folder
    informer.close(clean=True)


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("mdb_txn_commit: No space left on device", CapacityError, "is full"),
        ("mdb_txn_commit: File too large", CapacityError, "is full"),
        ("mdb_env_open: Read-only file system", CapacityError, "cannot be written"),
        ("mdb_env_open: Permission denied", CapacityError, "cannot be written"),
        # What is committed is whole where a write failed, whether there is room by now or not.
        ("mdb_txn_commit: Input/output error", CapacityError, "goes on by itself"),
        ("mdb_put: Input/output error", CapacityError, "goes on by itself"),
        ("mdb_env_open: Input/output error", DamagedError, "rm -r"),
    ],
)
def test_each_trouble_is_named_with_the_file_and_what_to_do(text: str, kind: type, words: str) -> None:
    error = explain(indexer.lmdb.Error(text), Path("/state/c/pods/00000001/shard-0"))
    assert isinstance(error, kind)
    assert "/state/c/pods/00000001/shard-0/data.mdb" in str(error)
    assert words in f"{error} {getattr(error, 'hint', '')}"


def test_a_damaged_memory_of_the_clusters_ids_is_written_anew(tmp_path: Path) -> None:
    remember_name(tmp_path, "dev", "c1")
    (tmp_path / CLUSTERS).write_bytes(b'{"dev": "c')
    assert last_cluster_id(tmp_path, "dev") == ""
    remember_name(tmp_path, "dev", "c2")
    assert last_cluster_id(tmp_path, "dev") == "c2"


def test_a_cache_for_which_there_is_no_room_at_all_is_waited_for(tmp_path: Path, file_limit: None) -> None:
    informer = informer_of(plan_of(tmp_path), FakeClock())
    limit_files(4096)
    with pytest.raises(CapacityError, match="is full"):
        informer.open("c1")
    limit_files(resource.RLIM_INFINITY)
    assert informer.open("c1")
    informer.close(clean=True)


def test_a_disk_that_is_full_when_a_clusters_name_is_to_be_kept_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    informer = informer_of(plan_of(tmp_path), FakeClock())
    with monkeypatch.context() as patch:
        patch.setattr(identities, "remember_name", is_full)
        with pytest.raises(CapacityError, match="No space left"):
            informer.open("c1")
        assert informer.shards == {}
    assert informer.open("c1")
    informer.close(clean=True)


def test_a_clusters_name_that_is_known_needs_no_room(tmp_path: Path) -> None:
    remember_name(tmp_path, "dev", "c1")
    (tmp_path / "clusters.lock").unlink()
    remember_name(tmp_path, "dev", "c1")
    assert [path.name for path in tmp_path.iterdir()] == [CLUSTERS]
