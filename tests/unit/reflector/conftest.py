import pytest

from tests.support.reflector_bench import Bench


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def paging():
    """Against a server that is known to have no streaming lists."""
    return Bench(streaming=False)
