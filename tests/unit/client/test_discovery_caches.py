import logging
import multiprocessing
import os
import stat
import threading
import time
from pathlib import Path

import pytest

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.discovery.disk_cache import DiskCache
from deltawire.client.discovery.memory_cache import MemoryCache
from deltawire.client.discovery.model import ApiGroup, ApiResource, Discovered
from deltawire.client.discovery.queries import (
    check_version_supported,
    is_resource_enabled,
    preferred_namespaced_resources,
    preferred_resources,
    resource_lists,
    with_verbs,
)
from deltawire.client.schema import GroupVersion, GroupVersionResource, parse_group_version
from deltawire.common.errors import ConfigError, DeltawireError, StatusError, TransportError
from deltawire.common.meta.resources import ResourceType

CONFIG = ClientConfig("https://10.0.0.1:6443")
CORE, APPS = GroupVersion("", "v1"), GroupVersion("apps", "v1")
PODS = ApiResource(
    ResourceType("", "v1", "pods", "Pod", True), ("get", "list", "watch"), ("all",), ("log", "status")
)
NODES = ApiResource(ResourceType("", "v1", "nodes", "Node", False), ("get",))
GROUPS = (ApiGroup("", ("v1",), "v1"), ApiGroup("apps", ("v1", "v1beta1"), "v1"))
NEW = ApiResource(ResourceType("apps", "v1", "deployments", "Deployment", True), ("list", "watch"))
OLD = ApiResource(ResourceType("apps", "v1beta1", "deployments", "Deployment", True), ("list",))
ONLY_OLD = ApiResource(ResourceType("apps", "v1beta1", "scales", "Scale", True))
WHOLE = Discovered(GROUPS, (PODS, NODES, OLD, ONLY_OLD, NEW))


class Server:
    def __init__(self, answer: Discovered = WHOLE) -> None:
        self.answer = answer
        self.error: DeltawireError | None = None
        self.asked: list[str] = []

    def server_groups_and_resources(self) -> Discovered:
        self.asked.append("all")
        if self.error is not None:
            raise self.error
        return self.answer

    def server_resources_for(self, group_version: GroupVersion) -> tuple[ApiResource, ...]:
        self.asked.append(str(group_version))
        if self.error is not None:
            raise self.error
        return WHOLE.resources_of(group_version)


# -- in memory


def test_the_server_is_asked_once_until_invalidated() -> None:
    server = Server()
    cache = MemoryCache(server)
    assert not cache.is_fresh
    for _ in range(3):
        assert cache.server_groups_and_resources() == WHOLE
        assert cache.server_resources_for(APPS) == (NEW,)
    assert cache.is_fresh
    assert server.asked == ["all"]
    cache.invalidate()
    assert not cache.is_fresh
    cache.server_groups_and_resources()
    assert server.asked == ["all", "all"]


def test_a_failed_question_leaves_nothing_behind() -> None:
    server = Server()
    cache = MemoryCache(server)
    server.error = TransportError("refused")
    with pytest.raises(TransportError):
        cache.server_groups_and_resources()
    server.error = None
    assert cache.server_groups_and_resources() == WHOLE


def test_what_is_not_served_is_known_without_asking() -> None:
    server = Server(Discovered((GROUPS[1],), (NEW,)))
    cache = MemoryCache(server)
    with pytest.raises(StatusError) as found:
        cache.server_resources_for(GroupVersion("none.io", "v1"))
    assert found.value.is_not_found
    assert cache.server_resources_for(CORE) == ()  # a server without core is a server
    assert server.asked == ["all"]


def test_a_group_that_failed_in_passing_is_asked_again_and_one_that_failed_for_good_is_not() -> None:
    passing, final = TransportError("reset"), StatusError(403, "Forbidden", "no")
    server = Server(Discovered(GROUPS, (PODS,), {"apps/v1": passing, "apps/v1beta1": final}))
    cache = MemoryCache(server)
    server_was = cache.server_groups_and_resources()
    assert set(server_was.failures) == {"apps/v1", "apps/v1beta1"}
    server.error = TransportError("still down")
    with pytest.raises(TransportError, match="still down"):
        cache.server_resources_for(APPS)
    server.error = None
    assert cache.server_resources_for(APPS) == (NEW,)
    assert cache.server_resources_for(APPS) == (NEW,)
    for _ in range(2):
        with pytest.raises(StatusError, match="no"):
            cache.server_resources_for(GroupVersion("apps", "v1beta1"))
    assert server.asked == ["all", "apps/v1", "apps/v1"]
    assert NEW in cache.server_groups_and_resources().resources


def test_many_threads_make_one_question() -> None:
    server = Server()
    cache = MemoryCache(server)
    threads = [threading.Thread(target=cache.server_groups_and_resources) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == ["all"]


# -- on disk


def test_a_second_process_finds_the_first_ones_file(tmp_path: Path) -> None:
    first, second = Server(), Server()
    writer, reader = DiskCache(first, CONFIG, tmp_path), DiskCache(second, CONFIG, tmp_path)
    assert writer.server_groups_and_resources() == WHOLE
    assert writer.server_groups_and_resources() == WHOLE
    assert (first.asked, writer.is_fresh) == (["all"], True)
    assert reader.server_groups_and_resources() == WHOLE
    assert reader.server_resources_for(APPS) == (NEW,)
    assert (second.asked, reader.is_fresh) == ([], False)


def test_invalidated_only_own_files_count(tmp_path: Path) -> None:
    DiskCache(Server(), CONFIG, tmp_path).server_groups_and_resources()
    server = Server()
    cache = DiskCache(server, CONFIG, tmp_path)
    cache.server_groups_and_resources()
    cache.invalidate()
    assert cache.is_fresh
    for _ in range(2):
        cache.server_groups_and_resources()
    assert (server.asked, cache.is_fresh) == (["all"], True)


@pytest.mark.parametrize("age_s", [700.0, -700.0])
def test_a_file_is_used_for_its_time_only(tmp_path: Path, age_s: float) -> None:
    server = Server()
    cache = DiskCache(server, CONFIG, tmp_path, ttl_s=600)
    cache.server_groups_and_resources()
    then = time.time() - age_s
    os.utime(cache.path, (then, then))
    cache.server_groups_and_resources()
    assert server.asked == ["all", "all"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"format":99,"groups":[],"resources":[]}', b"\xff\x00" * 99, b"[" * 100_000],
)
def test_a_corrupt_file_is_as_if_it_was_not_there(tmp_path: Path, content: bytes) -> None:
    server = Server()
    cache = DiskCache(server, CONFIG, tmp_path)
    cache.path.parent.mkdir()
    cache.path.write_bytes(content)
    assert cache.server_groups_and_resources() == WHOLE
    assert cache.server_groups_and_resources() == WHOLE
    assert server.asked == ["all"]  # written anew


def test_partial_and_empty_answers_are_not_kept(tmp_path: Path) -> None:
    for answer in (Discovered(), Discovered(GROUPS, (PODS,), {"apps/v1": TransportError("x")})):
        cache = DiskCache(Server(answer), CONFIG, tmp_path)
        cache.server_groups_and_resources()
        assert not cache.path.exists()


def test_a_folder_that_cannot_be_written_costs_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "file").write_text("")
    cache = DiskCache(Server(), CONFIG, tmp_path / "file")
    assert cache.server_groups_and_resources() == WHOLE
    assert len([message for message in caplog.messages if "cannot be kept" in message]) == 1


def test_files_are_for_their_owner_only_and_servers_have_folders_of_their_own(tmp_path: Path) -> None:
    one = DiskCache(Server(), CONFIG, tmp_path / "cache")
    other = DiskCache(Server(), ClientConfig("https://10.0.0.2:6443"), tmp_path / "cache")
    one.server_groups_and_resources()
    assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(one.path.parent.stat().st_mode) == 0o700
    assert other.path != one.path
    assert list(one.path.parent.iterdir()) == [one.path]  # nothing left aside


def hammer(folder: Path, rounds: int) -> int:
    """Write and read as fast as possible; the number of answers that were not whole."""
    wrong = 0
    for _ in range(rounds):
        cache = DiskCache(Server(), CONFIG, folder)
        cache.invalidate()
        cache.server_groups_and_resources()  # writes
        reader = Server()
        wrong += DiskCache(reader, CONFIG, folder).server_groups_and_resources() != WHOLE
        wrong += len(reader.asked)  # a half-written file would have made it ask
    return wrong


def test_many_processes_share_the_folder(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(hammer, [(tmp_path, 100)] * 2) == [0, 0]


# -- questions


def test_lists_are_by_group_and_version_with_sub_resources_by_name() -> None:
    lists = resource_lists(WHOLE)
    assert [str(found.group_version) for found in lists] == ["v1", "apps/v1", "apps/v1beta1"]
    assert [found.name for found in lists[0].resources] == ["nodes", "pods", "pods/log", "pods/status"]


def test_preferred_is_one_entry_per_resource() -> None:
    assert {found.type.name for found in preferred_resources(WHOLE)} == {
        "pods", "nodes", "deployments.apps", "scales.apps",
    }  # fmt: skip
    assert NEW in preferred_resources(WHOLE) and OLD not in preferred_resources(WHOLE)
    assert NODES not in preferred_namespaced_resources(WHOLE)
    assert with_verbs(WHOLE.resources, "list", "watch") == (PODS, NEW)


def test_what_is_enabled_and_supported_can_be_asked() -> None:
    assert is_resource_enabled(WHOLE, GroupVersionResource("apps", "v1", "deployments"))
    assert not is_resource_enabled(WHOLE, GroupVersionResource("apps", "v1", "scales"))
    check_version_supported(WHOLE, APPS)
    check_version_supported(Discovered(), APPS)
    with pytest.raises(ConfigError, match="does not serve apps/v9"):
        check_version_supported(WHOLE, GroupVersion("apps", "v9"))


@pytest.mark.parametrize("text", ["", "/", "/v1", "apps/", "a/b/c"])
def test_what_is_no_group_and_version_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_group_version(text)


def test_group_and_version_are_taken_apart_and_put_together() -> None:
    assert parse_group_version("v1") == ("", "v1")
    assert str(parse_group_version("apps/v1")) == "apps/v1"
