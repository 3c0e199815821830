"""What JetStream answers to an archive, and what it means."""

from typing import Any

import pytest
from nats.js.errors import APIError

from deltawire.informer.archive.nats import NatsArchives
from deltawire.informer.archive.port import ArchiveUnavailable, FencedError
from deltawire.jetstream.settings import NatsSettings
from deltawire.jetstream.streams import FULL, WRONG_SEQUENCE


class Refusing:
    """A connection whose servers refuse with a code of theirs."""

    settings = NatsSettings()

    def __init__(self, code: int) -> None:
        self._code = code

    def wait(self, work: Any, timeout_s: float) -> Any:
        work.close()
        raise APIError(code=400, err_code=self._code, description="refused")


async def appended() -> int:
    return 1


def refused(code: int) -> Any:
    return NatsArchives(Refusing(code), bytes_max=1).wait(appended())  # type: ignore[arg-type]


@pytest.mark.parametrize("code", sorted(WRONG_SEQUENCE))
def test_each_way_to_say_that_another_entry_is_the_newest_fences(code: int) -> None:
    """Which one JetStream says depends on its version and on how many messages are under way."""
    with pytest.raises(FencedError):
        refused(code)


@pytest.mark.parametrize("code", sorted(FULL))
def test_an_archive_that_is_full_says_what_to_do(code: int) -> None:
    with pytest.raises(ArchiveUnavailable) as found:
        refused(code)
    assert found.value.hint == "raise archive.max_bytes"
