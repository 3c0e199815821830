"""The user of a request: name, groups, and the users that every cluster knows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
_ACCOUNT = "system:serviceaccount:"
_ACCOUNTS = "system:serviceaccounts"


class Headers(Protocol):
    """Request headers, of which one name may come several times."""

    def get(self, name: str, default: str) -> str: ...

    def getall(self, name: str, default: list[str]) -> list[str]: ...

    def __iter__(self) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class User:
    """``extra`` are further facts, lower-case keys to values."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def as_info(self) -> dict[str, Any]:
        """The user as reviews show one (authentication.k8s.io/v1 UserInfo)."""
        info: dict[str, Any] = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return info


# Anonymous users, and users of a token given at the start.
ADMIN = User("kubernetes-admin", (MASTERS, AUTHENTICATED))
ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))


def authenticated(name: str, groups: tuple[str, ...] = (), uid: str = "") -> User:
    """A user who has shown who he is: one group more."""
    return User(name, tuple(dict.fromkeys((*groups, AUTHENTICATED))), uid)


def service_account(namespace: str, name: str, uid: str = "") -> User:
    """The user that a service account's token stands for."""
    return authenticated(service_account_name(namespace, name), account_groups(namespace), uid)


def service_account_name(namespace: str, name: str) -> str:
    return f"{_ACCOUNT}{namespace}:{name}"


def account_groups(namespace: str) -> tuple[str, ...]:
    """The groups of every service account of a namespace."""
    return _ACCOUNTS, f"{_ACCOUNTS}:{namespace}"


def account_of(name: str) -> tuple[str, str] | None:
    """(namespace, name) of the service account that a user name stands for; None for other users."""
    parts = name.removeprefix(_ACCOUNT).split(":") if name.startswith(_ACCOUNT) else []
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None
