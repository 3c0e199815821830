"""Deciding what a user may do, as an interface; and the one that never says no."""

from typing import NamedTuple, Protocol

from deltawire.apiserver.access.attributes import Attributes
from deltawire.apiserver.access.rules import Rule
from deltawire.apiserver.auth.users import User


class Decision(NamedTuple):
    """``reason`` says which binding allows it; of a refusal, which roles could not be found, if any."""

    is_allowed: bool
    reason: str = ""


class Grants(NamedTuple):
    """What a user may do in one namespace. ``error`` is empty unless roles could not be found."""

    rules: tuple[Rule, ...]
    error: str = ""


class Authorizer(Protocol):
    """Decides from the rules known now, without a request and without side effects."""

    def decide(self, asked: Attributes) -> Decision: ...

    def grants(self, user: User, namespace: str) -> Grants: ...


EVERYTHING = (
    Rule(verbs=("*",), groups=("*",), resources=("*",)),
    Rule(verbs=("*",), paths=("*",)),
)


class AllowAll:
    """Allows every authenticated user everything."""

    def decide(self, asked: Attributes) -> Decision:
        return Decision(True)

    def grants(self, user: User, namespace: str) -> Grants:
        return Grants(EVERYTHING)
