"""What the front of the server asks about each request: who sends it, and may he?"""

from collections.abc import Mapping
from typing import Any

from deltawire.apiserver.access.attributes import Attributes
from deltawire.apiserver.access.authorizer import Authorizer
from deltawire.apiserver.access.escalation import Escalation
from deltawire.apiserver.access.impersonation import read_impersonation
from deltawire.apiserver.access.stored import GROUP
from deltawire.apiserver.auth.authenticator import Authenticator, PeerCertificate, Strangers
from deltawire.apiserver.auth.tokens import Tokens
from deltawire.apiserver.auth.users import ANONYMOUS, Headers, User
from deltawire.apiserver.core.resource import Resource
from deltawire.common.errors import StatusError

# Names come from URLs and headers; a message must not carry markup into a page that shows it.
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Gate:
    """Knows no HTTP: it takes headers, and the certificate of the connection if there is one."""

    def __init__(
        self, authenticator: Authenticator, authorizer: Authorizer, escalation: Escalation | None = None
    ) -> None:
        self._authenticator = authenticator
        self.authorizer = authorizer
        self._escalation = escalation

    @property
    def tokens(self) -> Tokens:
        return self._authenticator.tokens

    def admit(
        self, headers: Headers, certificate: PeerCertificate | None = None, *, is_public: bool = False
    ) -> User:
        """The user the request acts for. Raises StatusError 400, 401, 403.

        ``is_public`` is for what those may read, too, who are not let in otherwise.
        """
        if is_public and self._authenticator.strangers is Strangers.REFUSED:
            return ANONYMOUS
        sender = self._authenticator.user(headers, certificate)
        wanted = read_impersonation(headers)
        if wanted is None:
            return sender
        for asked in wanted.needed(sender):
            self.check(asked)
        return wanted.user()

    def check(self, asked: Attributes) -> None:
        """Raises StatusError 403 unless it is allowed."""
        decision = self.authorizer.decide(asked)
        if not decision.is_allowed:
            raise forbidden(asked, decision.reason)

    def guards(self, resource: Resource) -> bool:
        """Whether what is written there must pass `check_grant` first."""
        return self._escalation is not None and resource.type.group == GROUP

    def check_grant(self, user: User, resource: Resource, obj: Mapping[str, Any]) -> None:
        """Raises StatusError 403 if ``obj``, as it would be stored, gives away what ``user`` does not have."""
        if self._escalation is not None:
            self._escalation.check(user, resource, obj)


def forbidden(asked: Attributes, reason: str = "") -> StatusError:
    """403 in the API server's words."""
    who = f'User "{asked.user.name}"'
    if asked.path:
        told = f'{who} cannot {asked.verb} path "{asked.path}"'
    else:
        told = f'{who} cannot {asked.verb} resource "{asked.combined_resource}" in API group "{asked.group}"'
        told += f' in the namespace "{asked.namespace}"' if asked.namespace else " at the cluster scope"
    told = told.translate(_MARKUP)
    about = f'"{asked.name}" is forbidden' if asked.name else "is forbidden"
    what = "forbidden" if asked.path else f"{asked.qualified_resource} {about}"
    details = {"name": asked.name, "group": asked.group, "kind": asked.resource}
    return StatusError(
        403,
        "Forbidden",
        f"{what}: {told}: {reason}" if reason else f"{what}: {told}",
        details={name: value for name, value in details.items() if value},
    )
