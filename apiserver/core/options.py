"""What a request asks beside the object: options of lists, watches and deletes."""

from dataclasses import dataclass

from deltawire.apiserver.core.failures import unnamed

NOT_OLDER_THAN = "NotOlderThan"
EXACT = "Exact"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """``limit`` 0 is no limit; ``version`` and ``match`` are resourceVersion and resourceVersionMatch."""

    limit: int = 0
    continue_token: str = ""
    version: str = ""
    match: str = ""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """``send_initial_events`` is None where the request does not say."""

    version: str = ""
    match: str = ""
    allow_bookmarks: bool = False
    send_initial_events: bool | None = None


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """``uid`` and ``version`` are preconditions; ``propagation`` is Background, Foreground or Orphan.

    ``grace_s`` is what a pod gets to stop; None leaves that to its spec.
    """

    uid: str = ""
    version: str = ""
    propagation: str = "Background"
    dry_run: bool = False
    grace_s: int | None = None


def parse_version(text: str, asked: str = 'resourceVersion: Invalid value: "{}": ') -> int:
    """A resourceVersion as a number; "" is 0. Raises StatusError 500, as the API server does.

    ``asked`` begins the message; ``{}`` in it stands for ``text``.
    """
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise unnamed(f'{asked.format(text)}strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text or "0")
