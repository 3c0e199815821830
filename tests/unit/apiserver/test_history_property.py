"""Whatever is written: a watch from any version, replayed, equals the list; an old list equals the past."""

import random
from typing import Any

import msgspec
import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.options import DeleteOptions, ListOptions, WatchOptions
from deltawire.apiserver.core.selection import Selection, parse_selection
from deltawire.apiserver.core.window import WindowLimits
from deltawire.common.errors import StatusError

State = dict[str, bytes]
NAMESPACES = ("default", "kube-public")
STEPS = 300


def random_step(core: ApiCore, rng: random.Random) -> None:
    """One random write; refusals are part of the game."""
    name, namespace = f"c{rng.randrange(12)}", rng.choice(NAMESPACES)
    body: dict[str, Any] = {
        "metadata": {"name": name, "labels": {"l": str(rng.randrange(3))}},
        "data": {"x": str(rng.randrange(3))},
    }
    if rng.random() < 0.2:
        body["metadata"]["finalizers"] = ["example.net/hold"]
    try:
        match rng.randrange(6):
            case 0 | 1:
                core.create("configmaps", body, namespace)
            case 2 | 3:
                core.update("configmaps", body, name, namespace)
            case 4:
                core.delete("configmaps", name, namespace, DeleteOptions())
            case 5:
                core.create("secrets", {"metadata": {"generateName": "s-"}}, namespace)
    except StatusError as error:
        assert error.code in (404, 409, 422), error


def listed(core: ApiCore, selection: Selection, version: int) -> State:
    page = core.list("configmaps", selection, ListOptions(version=str(version), match="Exact"))
    assert page.version == version
    return {record.key: record.body for record in page.records}


def replayed(core: ApiCore, selection: Selection, start: State, version: int) -> State:
    """``start`` after all events newer than ``version``, each checked against what came before."""
    state, last = dict(start), version
    cursor = core.watch("configmaps", selection, WatchOptions(version=str(version)))
    while changes := cursor.take(500):
        for kind, body in changes:
            metadata = msgspec.json.decode(body)["metadata"]
            key = f"{metadata['namespace']}/{metadata['name']}"
            assert int(metadata["resourceVersion"]) > last, "versions rise"
            last = int(metadata["resourceVersion"])
            assert (key in state) is (kind != "ADDED"), (kind, key)
            if kind == "DELETED":
                del state[key]
            else:
                state[key] = body
    return state


@pytest.mark.parametrize("seed", range(8))
def test_a_replayed_watch_equals_the_list(seed: int) -> None:
    rng = random.Random(seed)
    core = ApiCore(limits=WindowLimits(events_max=5000))
    core.bootstrap()
    resource = core.resource("configmaps")
    selections = [
        Selection(),
        Selection(namespace="default"),
        parse_selection(resource, "", labels="l in (0,1)"),
        parse_selection(resource, "kube-public", labels="l!=2", fields="metadata.name!=c3"),
    ]
    start = core.store.version
    then: dict[int, list[State]] = {}
    for _ in range(STEPS):
        random_step(core, rng)
        then[core.store.version] = [
            {record.key: record.body for record in core.list("configmaps", selection).records}
            for selection in selections
        ]
    assert core.store.version > start + STEPS // 4, "the seed writes something"
    now = then[core.store.version]
    for version in rng.sample(sorted(then), 25):
        for number, selection in enumerate(selections):
            told = f"seed {seed}, version {version}, {selection}"
            past = listed(core, selection, version)
            assert past == then[version][number], told
            assert replayed(core, selection, past, version) == now[number], told


@pytest.mark.parametrize("seed", range(4))
def test_pages_of_a_moving_table_make_one_consistent_list(seed: int) -> None:
    rng = random.Random(seed)
    core = ApiCore(limits=WindowLimits(events_max=5000))
    core.bootstrap()
    for _ in range(20):
        for _ in range(rng.randrange(20)):
            random_step(core, rng)
        whole = [record.key for record in core.list("configmaps").records]
        version, keys, token = core.store.version, [], ""
        while True:
            page = core.list(
                "configmaps", options=ListOptions(limit=rng.randrange(1, 5), continue_token=token)
            )
            assert page.version == version, seed
            keys += [record.key for record in page.records]
            assert page.remaining == (len(whole) - len(keys) or None), seed
            token = page.continue_token
            if not token:
                break
            random_step(core, rng)
        assert keys == whole, seed
