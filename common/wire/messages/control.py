"""Every role ↔ the supervisor (docs/wire.md §8)."""

from typing import Any

from deltawire.common.wire.messages.fields import Count, Message, Text


class Status(Message, tag="status"):
    """The role's counters and states (docs/status.md)."""

    report: dict[str, Any]


class Drain(Message, tag="drain"):
    """Finish what is in flight and leave."""


class Ask(Message, tag="ask"):
    id: Count
    verb: Text
    arguments: dict[str, Any]


class Answer(Message, tag="answer"):
    """``body``: what was asked for, or the reason where ``ok`` is false."""

    id: Count
    ok: bool
    body: Any


ToRole = Drain | Ask
OfRole = Status | Ask | Answer
