"""What the options of the config say together."""

from deltawire.common.config.load import parse


def test_an_archive_goes_with_each_engine() -> None:
    nats = {"servers": ["nats://127.0.0.1:4222"]}
    raw = {"version": 1, "archive": nats}
    assert parse(raw).archive is not None
    config = parse({**raw, "engine": {"kind": "nats", **nats}})
    assert config.archive is not None
    assert config.engine != "memory"
