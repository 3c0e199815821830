"""The rights that expressions of policies and conditions may ask for: those of the request's user, or of an account."""

from typing import Any

from deltawire.apiserver.access.attributes import Attributes
from deltawire.apiserver.access.authorizer import Authorizer
from deltawire.apiserver.auth.users import User, account_groups, service_account_name


class Rights:
    """Answers questions as `cel.authorization` asks them."""

    def __init__(self, authorizer: Authorizer, user: User) -> None:
        self._authorizer = authorizer
        self._user = user

    def decide(self, asked: dict[str, Any], verb: str) -> tuple[bool, str]:
        """Whether it is allowed, and why."""
        user = self._user
        if asked["account"]:
            namespace, _, name = asked["account"].partition("/")
            user = User(service_account_name(namespace, name), account_groups(namespace))
        if "path" in asked:
            found = self._authorizer.decide(Attributes(user, verb, path=asked["path"]))
        else:
            fields = ("resource", "group", "subresource", "namespace", "name")
            found = self._authorizer.decide(Attributes(user, verb, **{field: asked[field] for field in fields}))
        return found.is_allowed, found.reason
