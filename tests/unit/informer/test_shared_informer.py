"""The shards of one informer: which folder they are in, their byte bound, and what people ask of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import CapacityError, DeltawireError, StateError
from deltawire.common.store.folder import find_shards
from deltawire.informer.asks import Asks
from deltawire.informer.claims import Claims
from deltawire.informer.groups import outcomes
from deltawire.informer.groups.options import GroupOptions
from deltawire.informer.groups.replica import Departure, Replica
from deltawire.informer.groups.state import KnownReplica
from deltawire.informer.shared_informer import SharedInformer
from deltawire.informer.status import status_of
from deltawire.informer.store import generation
from tests.support.messages import work
from tests.support.shard_rig import body_of

Make = Callable[..., SharedInformer]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[SharedInformer] = []

    def make(boot_id: str = "boot-1", **options: object) -> SharedInformer:
        plan = Plan(
            parse({"version": 1, "clusters": {"dev": {}}, "informers": [{"resource": "pods", **options}]})
        )
        informer = SharedInformer(
            plan.informers["dev/pods"],
            [0, 1],
            2,
            store_dir=tmp_path,
            owner=f"w{len(made)}",
            boot_id=boot_id,
            lease_s=1.0,
            is_dead=lambda known: True,
            clock=FakeClock(),
        )
        made.append(informer)
        return informer

    yield make
    for informer in made:
        informer.close(clean=False)


def fill(informer: SharedInformer, count: int, pad: int = 0, first: int = 1) -> None:
    """Objects into shard 0: a list, then one update of each."""
    shard = informer.shards[0]
    number = shard.progress.number
    for kind, version in (("A", 100 + first), ("U", 100_000 + first)):
        rows = []
        for i in range(count):
            number += 1
            obj = body_of(f"a/k{i}", f"u{i}", str(version + i), pad="x" * pad)
            rows.append(["a", f"k{i}", [[number, kind, "*", f"u{i}", str(version + i), 1, obj]]])
        shard.apply([work("pop", ["b", number - count + 1, number, rows, []])])


def join(informer: SharedInformer, group: str = "g", delivery: str = "latest") -> bytes:
    identity = f"{group}-0".encode()
    replica = Replica(identity, KnownReplica(group, "n", 1, 1, "h"), 10, 1 << 20)
    for shard in informer.shards.values():
        shard.join(group, GroupOptions(delivery=delivery), replica, [])
    return identity


def test_a_killed_process_loses_nothing(make: Make) -> None:
    informer = make()
    assert informer.open("c1")
    fill(informer, 3)
    folder = informer.shards[0].indexer.folder
    informer.close(clean=False)
    again = make()
    again.open("c1")
    assert again.shards[0].indexer.folder == folder
    assert again.shards[0].indexer.count() == 3


def test_after_a_crash_of_the_machine_the_cache_is_made_anew_in_another_folder(make: Make) -> None:
    informer = make()
    informer.open("c1")
    fill(informer, 3)
    folder = informer.shards[0].indexer.folder
    informer.close(clean=False)
    again = make(boot_id="boot-2")
    again.open("c1")
    assert again.discarded == 2
    assert again.shards[0].indexer.folder != folder
    assert not folder.exists()
    assert again.shards[0].indexer.count() == 0


def test_after_a_clean_end_a_reboot_keeps_the_cache(make: Make) -> None:
    informer = make()
    informer.open("c1")
    fill(informer, 3)
    informer.close(clean=True)
    again = make(boot_id="boot-2")
    again.open("c1")
    assert again.shards[0].indexer.count() == 3


def test_a_note_that_cannot_be_read_is_taken_for_a_crash(make: Make) -> None:
    informer = make()
    informer.open("c1")
    folder = informer.shards[0].indexer.folder
    informer.close(clean=True)
    (folder / generation.NOTE).write_text("{")
    again = make()
    again.open("c1")
    assert again.discarded == 1


def test_another_cluster_is_another_folder_and_never_a_sweep(make: Make) -> None:
    informer = make()
    informer.open("c1")
    fill(informer, 3)
    with pytest.raises(StateError, match=r"of cluster c1.*of c2"):
        informer.open("c2")
    assert informer.shards[0].indexer.count() == 3
    informer.close(clean=False)
    other = make()
    other.open("c2")
    assert other.shards[0].indexer.count() == 0


def test_without_an_id_the_last_known_cluster_is_opened_if_there_is_one(make: Make) -> None:
    informer = make()
    assert not informer.open("")
    informer.open("c1")
    informer.close(clean=False)
    again = make()
    assert again.open("")
    assert again.cluster_id == "c1"


def test_a_uid_that_is_read_later_takes_over_the_caches_of_the_address_also_while_they_are_open(
    make: Make, tmp_path: Path
) -> None:
    informer = make()
    informer.open("a-1", "a-1")
    fill(informer, 3)
    assert informer.open("c1", "a-1")
    assert (informer.cluster_id, informer.shards[0].indexer.count()) == ("c1", 3)
    informer.close(clean=False)
    for cluster_id, address in (("c1", "a-1"), ("", ""), ("a-1", "a-1")):
        again = make()
        assert again.open(cluster_id, address)
        assert (again.cluster_id, again.address) == ("c1", "a-1")
        assert again.shards[0].indexer.count() == 3
        again.close(clean=False)
    assert len(find_shards(tmp_path, "c1", "pods")) == 2
    other = make()
    other.open("c2", "a-1")
    assert other.shards[0].indexer.count() == 0


def test_a_uid_takes_over_the_caches_of_an_address_that_are_not_open(make: Make) -> None:
    informer = make()
    informer.open("a-1", "a-1")
    fill(informer, 3)
    informer.close(clean=False)
    again = make()
    again.open("c1", "a-1")
    assert again.shards[0].indexer.count() == 3


def test_the_address_stands_for_the_uid_that_was_read_at_it_and_no_other_does(make: Make) -> None:
    informer = make()
    informer.open("c1", "a-1")
    fill(informer, 3)
    informer.close(clean=False)
    same, other = make(), make()
    same.open("a-1", "a-1")
    assert (same.cluster_id, same.shards[0].indexer.count()) == ("c1", 3)
    same.close(clean=False)
    other.open("a-2", "a-2")
    assert (other.cluster_id, other.shards[0].indexer.count()) == ("a-2", 0)


def test_a_shard_that_cannot_be_opened_leaves_no_other_open(make: Make, tmp_path: Path) -> None:
    (tmp_path / "c1" / "pods" / "00000001").mkdir(parents=True)
    (tmp_path / "c1" / "pods" / "00000001" / "shard-1").write_text("not a folder")
    informer = make()
    with pytest.raises(StateError, match="cannot be used"):
        informer.open("c1")
    assert informer.shards == {}


def test_near_the_byte_bound_a_warning_and_above_it_an_error(make: Make) -> None:
    informer = make(max_bytes="1MiB")
    informer.open("c1")
    informer.check_bounds()
    assert informer.warning == ""
    fill(informer, 110, pad=4000)
    informer.check_bounds()
    assert "bytes are in use" in informer.warning
    fill(informer, 400, pad=4000, first=1000)
    with pytest.raises(CapacityError, match="max_bytes"):
        informer.check_bounds()


def test_at_the_byte_bound_history_goes_first(make: Make) -> None:
    informer = make(max_bytes="2MiB")
    informer.open("c1")
    join(informer, delivery="every")
    fill(informer, 100, pad=10_000)
    assert informer.used_bytes() > 2 << 20
    informer.check_bounds()
    assert informer.used_bytes() < 2 << 20
    assert informer.shards[0].indexer.rows(b"history") == []


def test_status_counts_objects_and_groups(make: Make) -> None:
    informer = make()
    informer.open("c1")
    join(informer)
    fill(informer, 3)
    status = status_of({"dev/pods": informer}, Claims({"dev/pods": informer}))
    assert status["informers"]["dev/pods"]["shards"]["0"]["objects"] == 3
    assert status["informers"]["dev/pods"]["listed"] is False
    group = status["groups"]["g"]["dev/pods"]
    assert (group["pending"], group["replicas"], group["synced"]) == (3, ["g"], False)
    msgspec.msgpack.encode(status)


def test_dead_letters_are_listed_shown_retried_and_dropped(make: Make) -> None:
    informer = make()
    informer.open("c1")
    identity = join(informer)
    fill(informer, 2)
    asks = Asks({"dev/pods": informer}, FakeClock())
    shard = informer.shards[0]
    for _, by_replica in shard.deliver():
        for event in by_replica[identity]:
            row = event[1], event[0], event[7], 2, 0, "no use"
            outcomes.acknowledge(shard.groups["g"], identity, [row], shard.now())
    listed = asks.answer("dead-letters", {})
    assert [letter["key"] for letter in listed["letters"]] == ["a/k0", "a/k1"]
    (shown,) = asks.answer("dead-letters", {"action": "show", "key": "a/k0"})["letters"]
    assert shown["object"] == body_of("a/k0", "u0", "100001", pad="")
    chosen = [
        [letter["key"] for letter in asks.answer("dead-letters", {"where": where})["letters"]]
        for where in (
            {"error": "NO USE"},
            {"error": "other"},
            {"name": "k1"},
            {"namespace": "b*"},
            {"kind": "add"},
        )
    ]
    assert chosen == [["a/k0", "a/k1"], [], ["a/k1"], [], ["a/k0", "a/k1"]]
    with pytest.raises(DeltawireError, match="no 'colour' to choose by"):
        asks.answer("dead-letters", {"where": {"colour": "red"}})
    with pytest.raises(DeltawireError, match="whose dead letters"):
        asks.answer("dead-letters", {"action": "drop"})
    assert asks.answer("dead-letters", {"action": "retry", "group": "g", "key": "a/k0"})["count"] == 1
    assert asks.answer("dead-letters", {"action": "drop", "group": "g"})["count"] == 1
    assert asks.answer("dead-letters", {})["letters"] == []
    ((_, by_replica),) = shard.deliver()
    assert [event[1] for event in by_replica[identity]] == ["a/k0"]


def test_a_running_group_is_not_forgotten(make: Make) -> None:
    informer = make()
    informer.open("c1")
    identity = join(informer)
    asks = Asks({"dev/pods": informer}, FakeClock())
    with pytest.raises(DeltawireError, match="is running"):
        asks.answer("forget", {"group": "g"})
    for shard in informer.shards.values():
        shard.leave("g", identity, "gone", Departure.DIED)
    assert asks.answer("forget", {"group": "g"}) == {"forgotten": 2}
    with pytest.raises(DeltawireError, match="does not know"):
        asks.answer("dance", {})
