"""Impersonation: the user that the Impersonate headers ask for, and the rights that it needs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from deltawire.apiserver.access.attributes import Attributes
from deltawire.apiserver.auth.users import (
    ANONYMOUS,
    AUTHENTICATED,
    UNAUTHENTICATED,
    Headers,
    User,
    account_groups,
    account_of,
)
from deltawire.apiserver.core.failures import bad_request

_EXTRA = "impersonate-extra-"
_GROUP = "authentication.k8s.io"


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Whom a request wants to act for, as its headers say."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def needed(self, user: User) -> Iterator[Attributes]:
        """What ``user`` must be allowed to do for it, one by one."""
        account = account_of(self.name)
        if account is not None:
            namespace, name = account
            yield Attributes(
                user, "impersonate", "serviceaccounts", version="v1", namespace=namespace, name=name
            )
        else:
            yield Attributes(user, "impersonate", "users", version="v1", name=self.name)
        for group in self.groups:
            yield Attributes(user, "impersonate", "groups", version="v1", name=group)
        for key, values in self.extra.items():
            for value in values:
                yield Attributes(user, "impersonate", "userextras", _GROUP, "v1", subresource=key, name=value)
        if self.uid:
            yield Attributes(user, "impersonate", "uids", _GROUP, "v1", name=self.uid)

    def user(self) -> User:
        """The user it makes. Without groups in the request they follow from the name."""
        account = account_of(self.name)
        groups = self.groups or (account_groups(account[0]) if account else ())
        if self.name == ANONYMOUS.name:
            groups = tuple(dict.fromkeys((*groups, UNAUTHENTICATED)))
        elif not {AUTHENTICATED, UNAUTHENTICATED} & set(groups):
            groups = (*groups, AUTHENTICATED)
        return User(self.name, groups, self.uid, self.extra)


def read_impersonation(headers: Headers) -> Impersonation | None:
    """None where the request acts for its sender. Raises StatusError 400 for parts of a user without a name."""
    name = headers.get("Impersonate-User", "")
    groups = tuple(headers.getall("Impersonate-Group", []))
    uid = headers.get("Impersonate-Uid", "")
    extra = {
        unquote(key.lower()[len(_EXTRA) :]): tuple(headers.getall(key, []))
        for key in sorted(set(headers))
        if key.lower().startswith(_EXTRA)
    }
    if name:
        return Impersonation(name, groups, uid, extra)
    if groups or uid or extra:
        # As Go prints the references that are asked for.
        asked = [*(f"{{Group  {group}    }}" for group in groups), *([f"{{UID  {uid}    }}"] if uid else [])]
        asked += [f"{{UserExtra  {value}  {key}  }}" for key, values in extra.items() for value in values]
        raise bad_request(f"requested [{' '.join(asked)}] without impersonating a user")
    return None
