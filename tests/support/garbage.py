"""What a test leaves behind in cycles is collected where it is much, and what all tests need is never looked at.

Ten thousand objects and a server in the test's own process are 300 MB; by itself Python collects what is old only after
a quarter more of it has come. The tests themselves and all they import are millions of objects that live to the end:
looking through them again and again took an eighth of the processor time of small tests, and of their collection.
"""

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest

GROWN_MB = 50.0
_STATM = Path("/proc/self/statm")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
_known_mb = [0.0]


def _resident_mb() -> float:
    """0 where nothing says it."""
    return int(_STATM.read_text().split()[1]) * _PAGE_MB if _STATM.exists() else 0.0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing that is made while tests are collected is garbage soon."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Around each test with its fixtures."""
    result = yield
    if _resident_mb() > _known_mb[0] + GROWN_MB:
        gc.collect()
        _known_mb[0] = _resident_mb()
    return result
