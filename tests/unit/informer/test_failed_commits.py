"""What a shard knows of itself moves on only with a commit: an aborted one leaves it as it was."""

from pathlib import Path

import pytest

from deltawire.common.errors import CapacityError
from deltawire.common.store import layout
from tests.support.shard_rig import ShardRig, brief


def test_a_full_map_leaves_the_shard_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MAP_BYTES", 1 << 20)
    rig = ShardRig(tmp_path / "shard")
    rig.list("100", ("a/k", "u1", "10"))
    handler = rig.join()
    (event,) = handler.take()
    handler.answer(event)
    before = (rig.shard.seq, rig.shard.report(), rig.stored(), rig.shard.progress.number)
    with pytest.raises(CapacityError):
        rig.pop(*(("A", f"a/k{n}", f"u{n}", str(200 + n)) for n in range(100)), pad="x" * 20_000)
    assert (rig.shard.seq, rig.shard.report(), rig.stored(), rig.shard.progress.number) == before
    # The acknowledgement that was to be committed with the batch is committed with the next.
    assert rig.shard.flush()
    rig.number -= 100
    rig.pop(("U", "a/k", "u1", "110"))
    assert rig.stored() == {"a/k": ("u1", "110")}
    assert brief(handler.take()) == [("U", "a/k", "110")]
    rig.reopen()
    assert rig.shard.groups["g"].track.position == 1
    rig.shard.close(clean=False)
