"""What a shard does when it is opened with another config: streams come and go (pure)."""

from collections.abc import Sequence
from typing import Protocol

from deltawire.common.meta.versions import highest
from deltawire.common.store.layout import FINAL_STATE_UNKNOWN, OUT_OF_SCOPE
from deltawire.common.store.meta import StreamState
from deltawire.informer.apply import ALL_NAMESPACES, Apply, prefix_of
from deltawire.informer.changes import Reads
from deltawire.informer.progress import Progress


class AllReads(Reads, Protocol):
    """What adopting looks up besides."""

    def all_keys(self) -> Sequence[str]:
        """All stored keys."""
        ...


def adopt(
    draft: Progress, applying: Apply, reads: AllReads, streams: Sequence[str], scope: str, at: int
) -> list[str]:
    """Make the streams of ``draft`` those of the config. Those that are configured no more leave it and are returned.

    ``scope``: hash of what the config asks for; ``at``: µs.
    """
    retired = [name for name in draft.streams if name not in streams]
    floor = ""
    for name in retired:
        floor = highest(floor, draft.streams[name].floor)
    for name in streams:
        known = draft.streams.get(name)
        if known is None:
            draft.streams[name] = StreamState(floor=floor)
            draft.touched.add(name)
        elif known.scope and known.scope != scope and known.is_complete:
            # What was out of scope, or cut off, never came: only a list brings it.
            draft.change(name).give_up_resume()
    if retired and ALL_NAMESPACES not in streams:
        # Objects that only streams which are configured no more had.
        kept = tuple(prefix_of(name) for name in streams)
        applying.sweep([key for key in reads.all_keys() if not key.startswith(kept)], OUT_OF_SCOPE, at)
        lost = [row for row in reads.lost_under("") if not row.key.startswith(kept)]
        applying.end_lost(lost, FINAL_STATE_UNKNOWN | OUT_OF_SCOPE, at)
    for name in retired:
        del draft.streams[name]
    return retired
