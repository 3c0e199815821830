"""Whatever a server does to its watches, cache and handlers end up with what the server has, each step once.

The test is the API server: random changes, some of which no watch brings, and watches that are cut or lose their
history. The calls of a handler are folded into a cache of its own; every update must name as its old object the
one of the call before.
"""

import random
import threading

import pytest

from deltawire.local.informer import SharedIndexInformer
from tests.support.informer_rig import PlayedServer, Recorder, running, stored, until

NAMES = [f"p{number}" for number in range(12)]
NAMESPACES = ["one", "two"]
SEEDS = range(12)


def change(server, draw, *, is_seen=True):
    namespace, name = draw.choice(NAMESPACES), draw.choice(NAMES)
    if (namespace, name) not in server.objects:
        server.add(name, namespace, is_seen=is_seen, labels={"app": draw.choice("xyz")})
    elif draw.random() < 0.3:
        server.delete(name, namespace, is_seen=is_seen)
    else:
        server.modify(name, namespace, is_seen=is_seen, labels={"app": draw.choice("xyz")})


def by_app(pod):
    return [pod.metadata.labels["app"]]


def check_indices(informer):
    indexer = informer.get_indexer()
    for name, function in indexer.indexers.items():
        expected = {}
        for pod in indexer.list():
            for value in function(pod):
                expected.setdefault(value, set()).add(f"{pod.metadata.namespace}/{pod.metadata.name}")
        found = {
            value: set(indexer.index_keys(name, value)) for value in indexer.list_index_func_values(name)
        }
        assert found == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_an_undisturbed_watch_tells_every_version_of_every_key_in_order(seed):
    draw = random.Random(seed)
    server = PlayedServer(has_streaming_lists=seed % 2 == 0)
    for _ in range(10):
        change(server, draw)
    informer = SharedIndexInformer("pods", server, indexers={"app": by_app})
    told = Recorder()
    informer.add_event_handler(told, notifications_max=draw.choice([1, 7, 1000]))
    expected: dict[str, list[str]] = {key: [version] for key, version in server.versions.items()}
    with running(informer):
        for _ in range(150):
            before = dict(server.versions)
            change(server, draw)
            after = server.versions
            [key] = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
            expected.setdefault(key, []).append(after.get(key, "gone"))
            if draw.random() < 0.02:
                server.cut()
        until(lambda: sum(map(len, expected.values())) == len(told.told))
        assert stored(informer) == server.versions
        check_indices(informer)
    heard: dict[str, list[str]] = {}
    for what, key, version in told.told:
        heard.setdefault(key, []).append("gone" if what == "delete" else version)
    assert heard == expected
    assert told.faults == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_disturbed_watch_ends_with_what_the_server_has(seed, monkeypatch):
    # Lists that follow each other closely back off, which is tested elsewhere.
    monkeypatch.setattr("deltawire.reflector.machine.LIST_LOOP_S", 0.0)
    draw = random.Random(1000 + seed)
    server = PlayedServer(has_streaming_lists=seed % 2 == 0)
    informer = SharedIndexInformer("pods", server, indexers={"app": by_app})
    early, small = Recorder(), Recorder()
    informer.add_event_handler(early)
    informer.add_event_handler(small, notifications_max=3)
    late: list[Recorder] = []
    with running(informer):
        for _ in range(8):
            for _ in range(draw.randrange(30)):
                change(server, draw, is_seen=draw.random() > 0.3)
            until(lambda: server.open_watches)
            draw.choice([server.cut, server.lose_history])()
            if draw.random() < 0.3:
                late.append(Recorder())
                threading.Thread(target=informer.add_event_handler, args=(late[-1],)).start()
        server.lose_history()  # what no watch brought, only a list can
        for recorder in (early, small, *late):
            until(lambda r=recorder: r.versions == server.versions, "a handler to know what there is")
        assert stored(informer) == server.versions
        check_indices(informer)
    assert [recorder.faults for recorder in (early, small, *late)] == [[]] * (2 + len(late))
    for recorder in (early, small, *late):
        told = [(key, version) for what, key, version in recorder.told if what != "delete"]
        assert len(told) == len(set(told)), "the same version of a key was told twice"
