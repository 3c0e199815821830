"""What webhooks and policies see of a request for a part of an object that is no write of the object itself."""

from typing import Any, NamedTuple

from deltawire.apiserver.admission.attempt import CONNECT, CREATE, UPDATE
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.http import bodies, queries
from deltawire.apiserver.http.asked import Asked
from deltawire.apiserver.http.patches import is_apply, read_configuration, read_scale_change
from deltawire.common.errors import StatusError

Tree = dict[str, Any]

_CREATED = ("eviction", "binding", "token")
_CONNECTED = ("exec", "attach", "portforward", "proxy")
# Options of a connection that are lists, or truth values; others are texts.
_LISTS, _FLAGS = ("command", "ports"), ("stdin", "stdout", "stderr", "tty")


class Shown(NamedTuple):
    operation: str
    obj: Tree
    old: Tree | None = None


async def shown(core: ApiCore, asked: Asked, verb: str) -> Shown | None:
    """None for what nobody is shown: reading, and what cannot be done anyway."""
    part = asked.subresource
    if part is None:
        return None
    try:
        if part.name in _CREATED and verb == "create":
            return Shown(CREATE, await _body(asked, part.kind, part.group, part.version))
        if part.name in _CONNECTED:
            return Shown(CONNECT, _options(asked, part.kind))
        if part.name == "scale" and verb in ("update", "patch"):
            return await _scale(core, asked, verb)
    except StatusError:
        # Whoever does it finds the same, and says so.
        return None
    return None


async def _body(asked: Asked, kind: str, group: str, version: str) -> Tree:
    body = await bodies.read_optional(asked.request)
    given: Tree = body if isinstance(body, dict) else {}
    api_version = f"{group}/{version or 'v1'}" if group else "v1"
    named = {"name": asked.path.name, "namespace": asked.path.namespace}
    metadata = given.get("metadata")
    about = {**named, **(metadata if isinstance(metadata, dict) else {})}
    return {"kind": kind, "apiVersion": api_version, **given, "metadata": about}


def _options(asked: Asked, kind: str) -> Tree:
    query = asked.request.query
    options: Tree = {"kind": kind, "apiVersion": "v1"}
    for name in dict.fromkeys(query):
        if name in _LISTS:
            options[name] = query.getall(name)
        else:
            options[name] = queries.flag(query, name) if name in _FLAGS else query[name]
    if asked.path.proxied:
        options["path"] = asked.path.proxied
    return options


async def _scale(core: ApiCore, asked: Asked, verb: str) -> Shown:
    name, namespace = asked.path.name, asked.path.namespace
    old = core.get_scale(asked.resource, name, namespace)
    if is_apply(asked.request):
        config = await read_configuration(asked.request)
        manager = asked.manager(applies=True)
        force = bool(queries.flag(asked.request.query, "force"))
        made = core.apply_scale(
            asked.resource, config, name, namespace, manager=manager, force=force, dry_run=True
        )
        return Shown(UPDATE, made, old)
    if verb == "update":
        body = await bodies.read_object(asked.request, "Scale")
        made = core.patch_scale(asked.resource, lambda current: body, name, namespace, dry_run=True)
    else:
        change = await read_scale_change(asked.request)
        made = core.patch_scale(asked.resource, change, name, namespace, dry_run=True)
    return Shown(UPDATE, made, old)
