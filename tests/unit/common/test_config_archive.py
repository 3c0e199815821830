"""What the options of the config say together."""

import pytest

from deltawire.common.config.load import parse
from deltawire.common.errors import ConfigError


def test_an_archive_beside_the_queue_on_nats_is_refused_while_shards_cannot_move_with_it() -> None:
    nats = {"servers": ["nats://127.0.0.1:4222"]}
    raw = {"version": 1, "archive": nats}
    assert parse(raw).archive is not None
    with pytest.raises(ConfigError, match="archive: does not go with engine: nats yet"):
        parse({**raw, "engine": "nats"})
