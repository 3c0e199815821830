"""The subresources that are more than a part of the object: scale, eviction, binding, log, token,
exec, attach, port-forward, proxy."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aiohttp import web

from deltawire.apiserver.auth.tokens import Tokens
from deltawire.apiserver.auth.users import service_account
from deltawire.apiserver.containers.scripts import Scripts
from deltawire.apiserver.core import failures
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.logs import LogOptions
from deltawire.apiserver.core.metadata import timestamp
from deltawire.apiserver.http import bodies, queries
from deltawire.apiserver.http.asked import Asked
from deltawire.apiserver.http.log_following import LogFollower
from deltawire.apiserver.http.patches import is_apply, read_configuration, read_scale_change
from deltawire.apiserver.http.streams import OpenStreams
from deltawire.common.errors import StatusError

if TYPE_CHECKING:
    from deltawire.apiserver.http.execs import ExecHandlers
    from deltawire.apiserver.http.forwards import ForwardHandlers

# What a token request may ask for; without a wish it gets an hour (limits of the API server).
TOKEN_LIFETIME_DEFAULT_S = 3600
TOKEN_LIFETIME_MIN_S = 600
TOKEN_LIFETIME_MAX_S = 1 << 32

# What a token may be bound to; it must be there.
_BOUND = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}

Handler = Callable[[Asked], Awaitable[web.StreamResponse]]


class SubresourceHandlers:
    """One method for each subresource and verb. Raises StatusError."""

    def __init__(self, core: ApiCore, tokens: Tokens, scripts: Scripts, streams: OpenStreams) -> None:
        self._core = core
        self._tokens = tokens
        self._streams = streams
        self._scripts = scripts
        self._handlers: dict[tuple[str, str], Handler] = {
            ("scale", "get"): self._get_scale,
            ("scale", "update"): self._update_scale,
            ("scale", "patch"): self._patch_scale,
            ("eviction", "create"): self._evict,
            ("binding", "create"): self._bind,
            ("log", "get"): self._log,
            ("token", "create"): self._token,
        }
        for verb in ("get", "create"):
            self._handlers["exec", verb] = self._exec
            self._handlers["attach", verb] = self._attach
            self._handlers["portforward", verb] = self._port_forward
        for verb in ("get", "create", "update", "patch", "delete"):
            self._handlers["proxy", verb] = self._proxy

    def find(self, subresource: str, verb: str) -> Handler | None:
        return self._handlers.get((subresource, verb))

    # What runs in containers is loaded when it is first asked for: a server starts sooner without.

    async def _exec(self, asked: Asked) -> web.StreamResponse:
        return await self._execs.exec(asked)

    async def _attach(self, asked: Asked) -> web.StreamResponse:
        return await self._execs.attach(asked)

    @cached_property
    def _execs(self) -> "ExecHandlers":
        from deltawire.apiserver.http.execs import ExecHandlers

        return ExecHandlers(self._core, self._scripts, self._streams)

    @cached_property
    def _forwards(self) -> "ForwardHandlers":
        from deltawire.apiserver.http.forwards import ForwardHandlers

        return ForwardHandlers(self._core, self._scripts, self._streams)

    async def _port_forward(self, asked: Asked) -> web.StreamResponse:
        return await self._forwards.port_forward(asked)

    async def _proxy(self, asked: Asked) -> web.StreamResponse:
        from deltawire.apiserver.http.proxies import ProxyHandlers

        return await ProxyHandlers(self._core, self._scripts).proxy(asked)

    async def _get_scale(self, asked: Asked) -> web.Response:
        path = asked.path
        return asked.answer_tree(self._core.get_scale(asked.resource, path.name, path.namespace))

    async def _update_scale(self, asked: Asked) -> web.Response:
        body = await bodies.read_object(asked.request, "Scale")
        given = body.get("kind") if isinstance(body, dict) else None
        if given not in (None, "", "Scale"):
            version = str(body.get("apiVersion", "")).rpartition("/")[2]
            why = f"converting ({version}.{given}) to (autoscaling.Scale): unknown conversion"
            raise failures.bad_request(f'{given} in version "{version}" cannot be handled as a Scale: {why}')
        return self._scaled(asked, lambda current: body)

    async def _patch_scale(self, asked: Asked) -> web.Response:
        if is_apply(asked.request):
            return await self._apply_scale(asked)
        change = await read_scale_change(asked.request)
        try:
            return self._scaled(asked, change)
        except StatusError as error:
            if error.code != 400:
                raise
            # A patch that could be read, but not what it makes.
            raise StatusError(
                422, "Invalid", f' "" is invalid: patch: Invalid value: {error.message}'
            ) from None

    async def _apply_scale(self, asked: Asked) -> web.Response:
        scale = await read_configuration(asked.request)
        if scale.get("kind") != "Scale":
            raise failures.bad_request("the applied configuration is not a Scale")
        made = self._core.apply_scale(
            asked.resource,
            scale,
            asked.path.name,
            asked.path.namespace,
            manager=asked.manager(applies=True),
            force=bool(queries.flag(asked.request.query, "force")),
            dry_run=asked.is_dry_run,
        )
        return asked.answer_tree(made)

    def _scaled(self, asked: Asked, apply: Callable[[dict[str, Any]], Any]) -> web.Response:
        path = asked.path
        scale = self._core.patch_scale(
            asked.resource,
            apply,
            path.name,
            path.namespace,
            dry_run=asked.is_dry_run,
            manager=asked.manager(),
        )
        return asked.answer_tree(scale)

    async def _evict(self, asked: Asked) -> web.Response:
        eviction = await bodies.read_optional(asked.request) or {}
        if not isinstance(eviction, dict):
            raise failures.bad_request("the body of the request must be an Eviction object")
        named = (eviction.get("metadata") or {}).get("name")
        if named and named != asked.path.name:
            raise failures.bad_request("name in URL does not match name in Eviction object")
        query: Mapping[str, str] = asked.request.query
        options = queries.delete_options(query, eviction.get("deleteOptions"))
        if asked.is_dry_run:
            options = replace(options, dry_run=True)
        self._core.evict(asked.path.name, asked.path.namespace, options)
        return asked.answer_tree(_success(), status=201)

    async def _bind(self, asked: Asked) -> web.Response:
        return self.bind(asked, await bodies.read_object(asked.request, "Binding"), asked.path.name)

    def bind(self, asked: Asked, binding: Any, name: str) -> web.Response:
        """Schedule the pod called ``name``. Raises StatusError 404, 409, 500 for a binding to nothing."""
        target = binding.get("target") if isinstance(binding, dict) else None
        node = target.get("name") if isinstance(target, dict) else None
        if not isinstance(node, str) or not node:
            raise failures.unnamed("target.name: Required value")
        self._core.bind(name, asked.path.namespace, node, dry_run=asked.is_dry_run)
        return asked.answer_tree(_success(), status=201)

    async def _log(self, asked: Asked) -> web.StreamResponse:
        path, options = asked.path, _log_options(asked.request.query, self._core.now())
        headers = {"Content-Type": "text/plain"}
        if not options.follow:
            text = self._core.read_log(path.name, path.namespace, options)
            return web.Response(body=text, headers=headers)
        pod = self._core.get("pods", path.name, path.namespace)
        follower = LogFollower(self._core, self._streams, pod, options)
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(asked.request)
        await follower.copy(response.write)
        await response.write_eof()
        return response

    async def _token(self, asked: Asked) -> web.Response:
        body = await bodies.read_object(asked.request)
        spec = (body.get("spec") or {}) if isinstance(body, dict) else None
        if not isinstance(spec, dict):
            raise failures.bad_request("the body of the request must be a TokenRequest object")
        account = self._core.get("serviceaccounts", asked.path.name, asked.path.namespace)
        bound = spec.get("boundObjectRef") or {}
        if isinstance(bound, dict) and bound.get("kind") in _BOUND and bound.get("name"):
            self._core.get(_BOUND[bound["kind"]], str(bound["name"]), asked.path.namespace)
        lifetime_s = spec.get("expirationSeconds") or TOKEN_LIFETIME_DEFAULT_S
        if not isinstance(lifetime_s, int) or not TOKEN_LIFETIME_MIN_S <= lifetime_s <= TOKEN_LIFETIME_MAX_S:
            told = f"Invalid value: {lifetime_s}: may not specify a duration less than 10 minutes"
            why = failures.cause("spec.expirationSeconds", told)
            raise failures.invalid(asked.resource, asked.path.name, why)
        audiences = [str(audience) for audience in spec.get("audiences") or ()]
        user = service_account(asked.path.namespace, account.name, account.uid)
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": account.name, "namespace": account.namespace},
            "spec": {**spec, "audiences": audiences, "expirationSeconds": lifetime_s},
            "status": {
                "token": self._tokens.mint(user, audiences, lifetime_s),
                "expirationTimestamp": timestamp(self._core.now() + lifetime_s),
            },
        }
        return asked.answer_tree(answer, status=201)


def _success() -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _log_options(query: Mapping[str, str], now_s: float) -> LogOptions:
    since_s = 0.0
    if query.get("sinceSeconds"):
        since_s = now_s - queries.number(query, "sinceSeconds")
    elif query.get("sinceTime"):
        try:
            since_s = datetime.fromisoformat(query["sinceTime"]).timestamp()
        except ValueError:
            raise failures.bad_request(f"sinceTime: {query['sinceTime']!r} is not a time") from None
    return LogOptions(
        container=query.get("container", ""),
        tail=queries.number(query, "tailLines") if "tailLines" in query else None,
        bytes_max=queries.number(query, "limitBytes") if "limitBytes" in query else None,
        since_s=since_s,
        timestamps=bool(queries.flag(query, "timestamps")),
        previous=bool(queries.flag(query, "previous")),
        follow=bool(queries.flag(query, "follow")),
    )
