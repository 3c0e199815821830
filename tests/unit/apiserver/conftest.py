"""A core with a clock that the test moves and uids that count up."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.window import WindowLimits


class Clock:
    """Unix seconds that stand still until a test moves them."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


def _uids() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"uid-{number}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_core(clock: Clock) -> Callable[..., ApiCore]:
    """``make_core(events_max=4, bytes_max=…)``: a core with its first namespaces."""

    def make(events_max: int = 1000, bytes_max: int = 1 << 20) -> ApiCore:
        uids = _uids()
        core = ApiCore(
            limits=WindowLimits(events_max, bytes_max),
            now=clock,
            new_uid=lambda: next(uids),
            choice=lambda chars: chars[0],
        )
        core.bootstrap()
        return core

    return make


@pytest.fixture
def core(make_core: Callable[..., ApiCore]) -> ApiCore:
    return make_core()


@pytest.fixture
def config_map() -> Callable[..., dict[str, Any]]:
    """``config_map("a", labels={...}, data={...})``."""

    def make(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "labels": labels or {}}, "data": data}

    return make
