"""What expressions ask about rights: ``authorizer.group("apps").resource("deployments").check("create").allowed()``.

Who answers is said around the evaluation (`answered_by`): values of expressions are plain data.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_PACKAGE = "kubernetes.authorization"
AUTHORIZER, DECISION = f"{_PACKAGE}.Authorizer", f"{_PACKAGE}.Decision"
PATH_CHECK, GROUP_CHECK, RESOURCE_CHECK = (f"{_PACKAGE}.{name}Check" for name in ("Path", "Group", "Resource"))
TYPES = (AUTHORIZER, PATH_CHECK, GROUP_CHECK, RESOURCE_CHECK, DECISION)
_Value = dict[str, Any]
# (what is asked, the verb) → whether it is allowed, and why.
Decide = Callable[[_Value, str], tuple[bool, str]]

_decide: ContextVar[Decide | None] = ContextVar("decide", default=None)


@contextmanager
def answered_by(decide: Decide | None) -> Iterator[None]:
    """Have questions of expressions answered, for the length of the block."""
    token = _decide.set(decide)
    try:
        yield
    finally:
        _decide.reset(token)


def authorizer(group: str, resource: str, subresource: str, namespace: str, name: str) -> _Value:
    """The variable, with the resource of the request in it."""
    asked = {"group": group, "resource": resource, "subresource": subresource}
    request = {"@type": RESOURCE_CHECK, "account": "", **asked, "namespace": namespace, "name": name}
    return {"@type": AUTHORIZER, "account": "", "requestResource": request}


def _of(*kinds: str, take: Callable[..., Any]) -> Callable[..., Any]:
    """A function of values of these types only."""

    def call(value: _Value, *rest: Any) -> Any:
        if value.get("@type") not in kinds:
            raise ValueError("No matching overloads found")
        return take(value, *rest)

    return call


def _service_account(value: _Value, namespace: str, name: str) -> _Value:
    if not namespace or not name:
        raise ValueError("Invalid service account name" if namespace else "Invalid namespace")
    return {"@type": AUTHORIZER, "account": f"{namespace}/{name}"}


def _path(value: _Value, path: str) -> _Value:
    if not path:
        raise ValueError("path must not be empty")
    return {"@type": PATH_CHECK, "account": value["account"], "path": path}


def _resource(value: _Value, resource: str) -> _Value:
    if not resource:
        raise ValueError("resource must not be empty")
    narrowed = {"subresource": "", "namespace": "", "name": ""}
    return {**value, "@type": RESOURCE_CHECK, "resource": resource, **narrowed}


def _with(field: str) -> Callable[..., Any]:
    return _of(RESOURCE_CHECK, take=lambda value, text: {**value, field: text})


def _check(value: _Value, verb: str) -> _Value:
    decide = _decide.get()
    if decide is None:
        raise ValueError("no authorizer")
    is_allowed, reason = decide(value, verb)
    return {"@type": DECISION, "allowed": is_allowed, "reason": reason}


def _decision(take: Callable[[_Value], Any]) -> Callable[..., Any]:
    return _of(DECISION, take=take)


FUNCTIONS: tuple[tuple[Any, ...], ...] = (
    ("serviceAccount", (AUTHORIZER, "string", "string"), AUTHORIZER, _of(AUTHORIZER, take=_service_account), True),
    ("path", (AUTHORIZER, "string"), PATH_CHECK, _of(AUTHORIZER, take=_path), True),
    (
        "group",
        (AUTHORIZER, "string"),
        GROUP_CHECK,
        _of(AUTHORIZER, take=lambda v, group: {"@type": GROUP_CHECK, "account": v["account"], "group": group}),
        True,
    ),
    ("resource", (GROUP_CHECK, "string"), RESOURCE_CHECK, _of(GROUP_CHECK, take=_resource), True),
    *(
        (name, (RESOURCE_CHECK, "string"), RESOURCE_CHECK, _with(name), True)
        for name in ("subresource", "namespace", "name")
    ),
    # Rules have no selectors: with one, no less is allowed.
    *(
        (name, (RESOURCE_CHECK, "string"), RESOURCE_CHECK, _of(RESOURCE_CHECK, take=lambda v, _: v), True)
        for name in ("fieldSelector", "labelSelector")
    ),
    ("check", (PATH_CHECK, "string"), DECISION, _of(PATH_CHECK, take=_check), True),
    ("check", (RESOURCE_CHECK, "string"), DECISION, _of(RESOURCE_CHECK, take=_check), True),
    ("allowed", (DECISION,), "bool", _decision(lambda v: v["allowed"]), True),
    ("reason", (DECISION,), "string", _decision(lambda v: v["reason"]), True),
    ("errored", (DECISION,), "bool", _decision(lambda v: False), True),
    ("error", (DECISION,), "string", _decision(lambda v: ""), True),
)
