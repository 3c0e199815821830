"""What somebody meant who wrote an accessor's name nearly right."""

import difflib
from collections.abc import Collection


def nearest(name: str, known: Collection[str]) -> str:
    """Which of ``known`` is probably meant by ``name``; "" where none is like it."""
    flat = {key.replace("_", ""): key for key in known}
    return flat.get(name.replace("_", "")) or next(iter(difflib.get_close_matches(name, known, 1)), "")
