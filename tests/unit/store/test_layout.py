"""Keys and rows: LMDB's bounds never refuse an object."""

import random

from deltawire.common.store import layout
from deltawire.common.store.layout import Row

LONG = "a/" + "n" * 600


def test_no_text_is_empty_or_too_long_as_a_key() -> None:
    for text in ("", "x", "é" * 300, LONG, "a" * 480, "a" * 481):
        assert 1 <= len(layout.text_key(text)) <= 481


def test_whole_texts_come_back_and_cut_ones_are_told_apart() -> None:
    assert layout.text_of(layout.text_key("a/k")) == "a/k"
    assert not layout.is_cut(layout.text_key("a" * 480))
    cut, other = layout.text_key(LONG), layout.text_key(LONG + "x")
    assert layout.is_cut(cut)
    assert layout.text_of(cut) == ""
    assert cut != other


def test_keys_of_a_prefix_are_one_range() -> None:
    texts = ["a/x", "a/y", LONG, "ab/x", "b/x", "/x"]
    with_prefix = [t for t in texts if layout.text_key(t).startswith(layout.prefix_key("a/"))]
    assert with_prefix == ["a/x", "a/y", LONG]


def test_short_keys_keep_the_order_of_their_texts() -> None:
    texts = [f"{random.choice('abc')}/{random.random()}" for _ in range(200)]
    assert sorted(texts) == [layout.text_of(key) for key in sorted(map(layout.text_key, texts))]


def test_a_row_comes_back_as_it_was() -> None:
    row = Row(LONG, "uid", "123", 7, 3, 99, b"{}", layout.OUT_OF_SCOPE, b"\x80")
    assert layout.unpack_row(layout.pack_row(row, with_key=True)) == row
    assert layout.unpack_row(layout.pack_row(row, with_key=False), LONG) == row


def test_equal_index_entries_are_equal_bytes() -> None:
    assert layout.pack_indexed({"b": ["2", "1"], "a": ["x"], "c": []}) == layout.pack_indexed(
        {"a": ["x"], "b": ["1", "2"]}
    )
    assert layout.unpack_indexed(layout.pack_indexed({})) == {}
