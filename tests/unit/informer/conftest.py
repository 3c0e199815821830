"""What the tests of a shard begin with, where they ask for nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shard_rig import ShardRig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ShardRig]:
    """A shard of which an empty list was taken."""
    made = ShardRig(tmp_path / "shard")
    made.list("100")
    yield made
    made.shard.close(clean=False)
