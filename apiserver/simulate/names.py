"""Names with a random end, each given once, as API servers make them for ``generateName``."""

from collections.abc import Callable, Container
from typing import TypeVar

from deltawire.common.errors import StatusError

T = TypeVar("T")

# A name that is taken is followed by another one, so often (the API server's own number).
TRIES_MAX = 8


def create_under_a_free_name(
    draw: Callable[[], str], taken: Container[str], create: Callable[[str], T]
) -> tuple[str, T]:
    """The name and what ``create`` made of it: not one of ``taken``, nor one that somebody else has taken.

    Raises what ``create`` raises, and its AlreadyExists only after TRIES_MAX names.
    """
    for left in reversed(range(TRIES_MAX)):
        name = draw()
        while name in taken:
            name = draw()
        try:
            return name, create(name)
        except StatusError as error:
            if error.reason != "AlreadyExists" or not left:
                raise
    raise AssertionError("the last try returns or raises")
