"""What a request asks beside the object: options of lists, watches and deletes."""

from dataclasses import dataclass

from deltawire.apiserver.core.failures import bad_request

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
    """``uid`` and ``version`` are preconditions; ``propagation`` is Background, Foreground or Orphan."""

    uid: str = ""
    version: str = ""
    propagation: str = "Background"
    dry_run: bool = False


def parse_version(text: str) -> int:
    """A resourceVersion as a number; "" is 0. Raises StatusError 400."""
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise bad_request(f'Invalid value: "{text}": resourceVersion must be a decimal number')
    return int(text or "0")
