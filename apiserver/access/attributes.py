"""What is asked before a request is answered: may this user do that to this resource, or on this path?"""

from dataclasses import dataclass

from deltawire.apiserver.auth.users import User


@dataclass(frozen=True, slots=True)
class Attributes:
    """A verb of ``user`` on a resource, or on the URL ``path`` where that is set.

    ``namespace`` is empty for the whole cluster, ``name`` where no single object is meant.
    """

    user: User
    verb: str
    resource: str = ""
    group: str = ""
    version: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def combined_resource(self) -> str:
        """The resource as rules name it: ``pods``, ``pods/log``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    @property
    def qualified_resource(self) -> str:
        """The resource as messages name it: ``deployments.apps``."""
        return f"{self.resource}.{self.group}" if self.group else self.resource
