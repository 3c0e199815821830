"""The attributes of a request that authorization decides on: the verb, and the resource or path."""

from aiohttp import web

from deltawire.apiserver.access.attributes import Attributes
from deltawire.apiserver.auth.users import User
from deltawire.apiserver.core import failures
from deltawire.apiserver.http import queries
from deltawire.apiserver.http.paths import PROXY, ResourcePath
from deltawire.common.meta.selectors import parse_field_selector

_NAME = "metadata.name"
# What goes through a proxy is the target's business: each method is a verb of its own.
_PROXY_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


def attributes(request: web.Request, path: ResourcePath | None, user: User) -> Attributes:
    """``path`` is None for what is no resource. Raises StatusError 405 for a method that has no verb."""
    if path is None:
        return Attributes(user, request.method.lower(), path=request.path)
    verb = verb_of(request, path)
    name = path.name
    if not name and verb in ("list", "watch"):
        name = _selected_name(request.query.get("fieldSelector", ""))
    # A namespace is in itself: who may read it may be decided by roles inside.
    namespace = path.name if path.plural == "namespaces" and not path.group else path.namespace
    return Attributes(user, verb, path.plural, path.group, path.version, path.subresource, namespace, name)


def verb_of(request: web.Request, path: ResourcePath) -> str:
    """The verb as RBAC names it. Raises StatusError 405 for a method that has none here."""
    method = request.method
    if path.subresource == PROXY and method in _PROXY_VERBS:
        return _PROXY_VERBS[method]
    if method == "GET":
        if path.is_watch or queries.flag(request.query, "watch"):
            return "watch"
        return "get" if path.name else "list"
    if method == "POST" and (path.subresource or not path.name):
        return "create"
    if method == "DELETE" and not path.subresource:
        return "delete" if path.name else "deletecollection"
    if path.name and method in ("PUT", "PATCH"):
        return "update" if method == "PUT" else "patch"
    raise failures.method_not_allowed()


def _selected_name(selector: str) -> str:
    """The one name that a field selector leaves: listing it is like naming it."""
    try:
        terms = parse_field_selector(selector).terms
    except ValueError:
        return ""  # answered with 400 when it is used
    names = [term.value for term in terms if term.path == _NAME and not term.negated]
    return names[0] if names else ""
