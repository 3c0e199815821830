"""Who a request acts for: the user behind a credential, or the one it impersonates."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from deltawire.apiserver.core.failures import bad_request

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
_EXTRA = "impersonate-extra-"


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
    extra: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def as_info(self) -> dict[str, Any]:
        """The user as reviews show one (authentication.k8s.io/v1 UserInfo)."""
        info: dict[str, Any] = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return info


# Whoever may come in without naming himself, or with one of the tokens given at the start.
ADMIN = User("kubernetes-admin", (MASTERS, AUTHENTICATED))


def service_account(namespace: str, name: str, uid: str) -> User:
    """The user that a service account's token stands for."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid)


def impersonated(user: User, headers: Headers) -> User:
    """The user the request acts for. Raises StatusError 400 for parts of one without a name."""
    name = headers.get("Impersonate-User", "")
    groups = headers.getall("Impersonate-Group", [])
    uid = headers.get("Impersonate-Uid", "")
    extra = {
        key.lower()[len(_EXTRA) :]: tuple(headers.getall(key, []))
        for key in set(headers)
        if key.lower().startswith(_EXTRA)
    }
    if not name:
        if groups or uid or extra:
            raise bad_request("requested impersonation of groups, uid or extra without a user")
        return user
    return User(name, tuple(dict.fromkeys((*groups, AUTHENTICATED))), uid, extra)
