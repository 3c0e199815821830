"""What a stream's machine asks its shell to do."""

from dataclasses import dataclass

from deltawire.common.wire.messages.stream import Delta

Params = dict[str, str]


@dataclass(frozen=True, slots=True)
class List:
    """Send one LIST request. ``is_first``: of a new list, so the cluster's identity is asked for before it."""

    params: Params
    is_first: bool


@dataclass(frozen=True, slots=True)
class Watch:
    """Open a watch, after the cluster's identity was checked: another cluster may answer now.
    ``is_list``: it is a streaming list until its marker."""

    params: Params
    is_list: bool


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give up the request under way; nothing that it still brings is wanted. ``is_silent``: its connection was
    dead, so the others that wait for their next use may be, too."""

    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    generation: int


@dataclass(frozen=True, slots=True)
class Deltas:
    """``version``: the stream is complete up to here after all of them, "" inside a list."""

    deltas: list[Delta]
    version: str


@dataclass(frozen=True, slots=True)
class Mark:
    version: str


@dataclass(frozen=True, slots=True)
class End:
    generation: int
    count: int
    version: str


Request = List | Watch
Publication = Begin | Deltas | Mark | End
Action = Request | Cancel | Publication
