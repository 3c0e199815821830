"""Suggestions for a misspelt accessor's name."""

import difflib
from collections.abc import Collection


def nearest(name: str, known: Collection[str]) -> str:
    """The name of ``known`` that is most like ``name``; "" if none is."""
    flat = {key.replace("_", ""): key for key in known}
    return flat.get(name.replace("_", "")) or next(iter(difflib.get_close_matches(name, known, 1)), "")
