"""The states of one stream's machine."""

from enum import Enum


class State(Enum):
    """The states in `status`. A stream is watching as long as nothing shows that it misses anything."""

    WAITING = "waiting"  # for the broker's start
    LISTING = "listing"
    OPENING = "opening"  # a watch that was not accepted yet, or that must first show that it can be kept
    WATCHING = "watching"
    SILENT = "silent"  # the watch carried nothing for too long; another one is being opened
    BACKOFF = "backoff"
    STOPPED = "stopped"


class Phase(Enum):
    """What the request under way, or the next one after a back-off, is for."""

    PAGES = "pages"
    STREAMING_LIST = "streaming list"
    WATCH = "watch"


# A request is under way.
BUSY = frozenset({State.LISTING, State.OPENING, State.WATCHING, State.SILENT})
