"""Durations and sizes: as written, and as shown."""

from typing import Any

import pytest

from deltawire.cli.view.units import format_age, format_bytes
from deltawire.common.errors import ConfigError
from deltawire.common.meta.units import parse_bytes, parse_duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("5m", 300),
        ("1h30m", 5400),
        ("7d", 604800),
        ("1w", 604800),
        ("250ms", 0.25),
        ("1m500ms", 60.5),
        ("1.5h", 5400),
        (" 15s ", 15),
        ("15", 15),
        ("0", 0),
        (30, 30),
        (0.5, 0.5),
    ],
)
def test_a_duration_is_read_as_seconds(text: str | float, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


BAD_DURATIONS: list[Any] = [
    *["", "s", "5 minutes", "5x", "-5s", "1h 30m", "5s!", "9" * 400, "1e3s", "٣s"],
    *[-1, True, None, float("nan"), float("inf"), [5]],
]


@pytest.mark.parametrize("bad", BAD_DURATIONS)
def test_what_is_no_duration_is_refused_with_its_field(bad: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_duration_s(bad, "handlers[0].resync")
    assert refused.value.path == "handlers[0].resync"
    assert str(refused.value).startswith("handlers[0].resync: ")
    assert "1h30m" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 << 20),
        ("1Gi", 1 << 30),
        ("500k", 500_000),
        ("10MB", 10_000_000),
        ("2 KiB", 2048),
        ("1.5Ki", 1536),
        ("100B", 100),
        ("100", 100),
        ("9007199254740993", 9007199254740993),
        (4096, 4096),
        ("1T", 10**12),
    ],
)
def test_a_size_is_read_as_bytes(text: str | int, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "bad", ["", "MiB", "9" * 400 + "k", "12 parsecs", "-1k", "1,5k", -1, True, None, 1.5]
)
def test_what_is_no_size_is_refused_with_its_field(bad: Any) -> None:
    with pytest.raises(ConfigError, match=r"^store\.max_bytes: .* is not a size"):
        parse_bytes(bad, "store.max_bytes")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (4403, "4.3 KiB"),
        (64 << 20, "64.0 MiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (5 << 40, "5.0 TiB"),
    ],
)
def test_bytes_are_shown_with_one_decimal(size: int, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0.9, "0s"),
        (119, "119s"),
        (120, "2m"),
        (330, "5m30s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (12000, "3h20m"),
        (28800, "8h"),
        (172799, "47h"),
        (172800, "2d"),
        (273600, "3d4h"),
        (691200, "8d"),
        (8640000, "100d"),
        (3 * 31536000 + 40 * 86400, "3y40d"),
        (9 * 31536000, "9y"),
    ],
)
def test_ages_are_shown_as_kubectl_shows_them(seconds: float, text: str) -> None:
    assert format_age(seconds) == text
