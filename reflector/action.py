"""What a stream's machine asks its shell to do."""


import msgspec

from deltawire.common.wire.messages.stream import Delta

Params = dict[str, str]


class List(msgspec.Struct, frozen=True):
    """Send one LIST request. ``is_first``: of a new list, so the cluster's identity is asked for before it."""

    params: Params
    is_first: bool


class Watch(msgspec.Struct, frozen=True):
    """Open a watch, after the cluster's identity was checked: another cluster may answer now.
    ``is_list``: it is a streaming list until its marker."""

    params: Params
    is_list: bool


class Cancel(msgspec.Struct, frozen=True):
    """Give up the request under way; nothing that it still brings is wanted. ``is_silent``: its connection was
    dead, so the others that wait for their next use may be, too."""

    is_silent: bool = False


class Begin(msgspec.Struct, frozen=True):
    generation: int


class Deltas(msgspec.Struct, frozen=True):
    """``version``: the stream is complete up to here after all of them, "" inside a list."""

    deltas: list[Delta]
    version: str


class Mark(msgspec.Struct, frozen=True):
    version: str


class End(msgspec.Struct, frozen=True):
    generation: int
    count: int
    version: str


Request = List | Watch
Publication = Begin | Deltas | Mark | End
Action = Request | Cancel | Publication
