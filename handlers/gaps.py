"""Notices of lost changes as a handler's process gets them: each shard sends one of the same list (pure)."""

from collections import OrderedDict

from deltawire.common.meta.versions import as_number
from deltawire.common.wire.messages import group as wire

# Lists that are remembered as seen.
REMEMBERED_MAX = 256


class GapFilter:
    """Passes a list's first notice, and those that reach further back; the others add nothing."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[str, str, str, int], str] = OrderedDict()

    def is_news(self, notice: wire.Gap) -> bool:
        which = (notice.informer, notice.stream, notice.reason, notice.generation)
        told = self._told.get(which)
        if told is not None:
            before, now = as_number(told), as_number(notice.lost_from)
            if before is None or now is None or now >= before:
                return False
        self._told[which] = notice.lost_from
        while len(self._told) > REMEMBERED_MAX:
            self._told.popitem(last=False)
        return True


def text_of(notice: wire.Gap) -> str:
    """The notice in a log line."""
    where = "" if notice.stream == "*" else f" in namespace {notice.stream}"
    if notice.reason == "forgotten":
        return f"{notice.informer}{where}: this handler was away for too long; it gets all objects anew"
    return (
        f"{notice.informer}{where}: the API server's history was lost between version {notice.lost_from} and "
        f"{notice.version}; what was created and deleted in between is not seen"
    )
