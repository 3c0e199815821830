"""The HTTP application: one dispatcher, because what is served changes while it runs."""

import logging
import uuid
from typing import Any

import msgspec
from aiohttp import web

from deltawire.apiserver.access.gate import Gate
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.conversions import NeedsConversion
from deltawire.apiserver.core.failures import method_not_allowed, nothing_there, status_of, unnamed
from deltawire.apiserver.faults.plan import FaultPlan
from deltawire.apiserver.http import admin, aggregated, asking, discovery, json_texts, sabotage
from deltawire.apiserver.http.aggregation import Aggregation
from deltawire.apiserver.http.bodies import BODY_BYTES_MAX
from deltawire.apiserver.http.metrics import Metrics
from deltawire.apiserver.http.negotiate import PROTOBUF_TYPE, Form, aggregated_version, negotiate
from deltawire.apiserver.http.paths import ResourcePath, parse_path
from deltawire.apiserver.http.render import to_yaml
from deltawire.apiserver.http.resources import ResourceHandlers
from deltawire.apiserver.http.streams import OpenStreams
from deltawire.apiserver.openapi.documents import Documents
from deltawire.apiserver.protobuf.encode import encode_object
from deltawire.common.errors import StatusError

_log = logging.getLogger(__name__)

_HEALTH = ("/healthz", "/livez", "/readyz")
# Named checks that every server has; all of them hold as long as this one answers.
_CHECKS = ("ping", "log", "etcd", "informer-sync", "shutdown")
_OPENID = "/.well-known/openid-configuration"
_KEYS = "/openid/v1/jwks"
# What a client may read before it has said who it is, as on real servers.
_OPEN_TO_ALL = (*_HEALTH, "/version")


class _Asked:
    """What is known of a request while it is answered, for those who count."""

    __slots__ = ("path", "verb")

    def __init__(self, method: str) -> None:
        self.verb = method
        self.path: ResourcePath | None = None


class Frontend:
    """Dispatches requests to health, discovery, admin and the resources."""

    def __init__(
        self,
        core: ApiCore,
        resources: ResourceHandlers,
        admin_handlers: admin.AdminHandlers,
        streams: OpenStreams,
        gate: Gate,
        plan: FaultPlan,
    ) -> None:
        self._plan = plan
        self._core = core
        self._resources = resources
        self._admin = admin_handlers
        self._streams = streams
        self._gate = gate
        self._metrics = Metrics(core)
        self._aggregation = Aggregation(core)
        self._documents = Documents(core.catalogue, discovery.GIT_VERSION)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._dispatch)
        app.on_response_prepare.append(_add_audit_id)
        app.cleanup_ctx.append(self._aggregation.running)
        app.on_shutdown.append(self._stop_streams)
        app.on_cleanup.append(self._finish_streams)
        return app

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        asked = _Asked(request.method)
        response = await self._told(request, asked)
        self._metrics.count(asked.verb, asked.path, response.status)
        return response

    async def _told(self, request: web.Request, asked: "_Asked") -> web.StreamResponse:
        """The answer, or what keeps it from being given."""
        try:
            return await sabotage.spoil(request, await self._answer(request, asked))
        except StatusError as error:
            return _status(error, request)
        except NeedsConversion as needed:
            told = (
                f"this cannot be asked in {needed.objects[0]['apiVersion']}: use the version that is stored"
            )
            return _status(unnamed(told), request)
        except web.HTTPException:
            raise
        except ConnectionError:
            return web.Response()  # goes nowhere: the connection is gone, by the client or on purpose
        except Exception:
            _log.exception("request failed: %s %s", request.method, request.path)
            told = "an error on the server has prevented the request from succeeding; its log says more"
            return _status(StatusError(500, "InternalError", told), request)

    async def _answer(self, request: web.Request, asked: "_Asked") -> web.StreamResponse:
        path = request.path.rstrip("/") or "/"
        parsed = parse_path(request.raw_path.partition("?")[0])
        certificate = request.get_extra_info("peercert")
        user = self._gate.admit(request.headers, certificate, is_public=path in _OPEN_TO_ALL)
        wanted = asking.attributes(request, parsed, user)
        asked.verb, asked.path = wanted.verb, parsed
        self._gate.check(wanted)
        if request.path.startswith(admin.PREFIX):
            return await self._admin.handle(request)
        others = self._aggregation.find(path)
        if others is not None:
            return await self._aggregation.pass_on(request, user, others)
        if parsed is not None:
            return await self._resources.handle(request, parsed, user)
        await sabotage.meet(self._plan, request, user.name)
        if request.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        if path in _HEALTH:
            return web.Response(text=discovery.health(path, _CHECKS) if "verbose" in request.query else "ok")
        if path.rpartition("/")[0] in _HEALTH and path.rpartition("/")[2] in _CHECKS:
            return web.Response(text="ok")
        if path == _OPENID:
            return _json(msgspec.json.encode(discovery.openid(f"{request.scheme}://{request.host}")))
        if path == _KEYS:
            keys = msgspec.json.encode(self._gate.tokens.key_set())
            return web.Response(body=keys, content_type="application/jwk-set+json")
        if path == "/metrics":
            text, content_type = self._metrics.text(len(self._streams))
            return web.Response(body=text, headers={"Content-Type": content_type})
        if path == "/openapi/v2" and request.headers.get("Accept", "").startswith("application/json"):
            return _json(msgspec.json.encode(discovery.OPENAPI_V2))
        if path == "/openapi/v2":
            return web.Response(
                body=discovery.OPENAPI_V2_STUB, headers={"Content-Type": discovery.OPENAPI_V2_TYPE}
            )
        if path in ("/api", "/apis"):
            version = aggregated_version(request.headers.get("Accept", ""))
            # What others serve is in the plain documents only; clients that ask for one read both.
            if version and not (path == "/apis" and self._aggregation.groups()):
                return aggregated.answer(self._core.catalogue, path, version, request)
        if path.startswith("/openapi/v3"):
            return self._openapi_v3(path, request)
        document = self._document(path, request)
        if document is None:
            if _is_of_api(path) and not self._is_of_nobody(path):
                raise nothing_there()
            raise web.HTTPNotFound(text="404 page not found\n")
        body = msgspec.json.encode(document)
        # These two are written by other code there, and always for people.
        is_raw = path in ("/", "/version")
        return _json(json_texts.indented(body) if is_raw else json_texts.written(body, request))

    def _is_of_nobody(self, path: str) -> bool:
        """Whether a path names a group without built-in resources: its versions are not served."""
        parts = path.strip("/").split("/")
        return parts[0] == "apis" and all(r.is_custom for r in self._core.catalogue.in_group(parts[1]))

    def _document(self, path: str, request: web.Request) -> dict[str, Any] | None:
        """The JSON documents of discovery; None for an unknown path."""
        catalogue = self._core.catalogue
        match path.strip("/").split("/"):
            case [""]:
                return discovery.root_paths(catalogue)
            case ["version"]:
                return dict(discovery.version_info())
            case ["api"]:
                return discovery.api_versions(request.host)
            case ["apis"]:
                return discovery.api_group_list(catalogue, self._aggregation.groups())
            case ["apis", group]:
                return discovery.api_group(catalogue, group, self._aggregation.groups())
            case ["api", version]:
                return discovery.api_resource_list(catalogue, "", version)
            case ["apis", group, version]:
                return discovery.api_resource_list(catalogue, group, version)
        return None

    def _openapi_v3(self, path: str, request: web.Request) -> web.Response:
        match path.strip("/").split("/")[2:]:
            case []:
                # Real servers name no type here: Go takes the document for text.
                return web.Response(text=msgspec.json.encode(self._documents.index()).decode())
            case ["api", version]:
                found = self._documents.document("", version)
            case ["apis", group, version]:
                found = self._documents.document(group, version)
            case _:
                found = None
        if found is None:
            raise web.HTTPNotFound(text="404 page not found")
        plain, zipped = found
        # These are asked for again with every command: their compressed form is at hand.
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return _json(plain)
        answer = _json(zipped)
        answer.headers["Content-Encoding"] = "gzip"
        return answer

    async def _stop_streams(self, app: web.Application) -> None:
        self._streams.stop()

    async def _finish_streams(self, app: web.Application) -> None:
        await self._streams.finish()


def _is_of_api(path: str) -> bool:
    """Whether a path leads to what would be a version of an API, or below /version."""
    parts = path.strip("/").split("/")
    return (
        (parts[0] == "api" and len(parts) > 1)
        or (parts[0] == "apis" and len(parts) > 2)
        or (parts[0] == "version" and len(parts) > 1)
    )


async def _add_audit_id(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Audit-Id"] = str(uuid.uuid4())


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _status(error: StatusError, request: web.Request) -> web.Response:
    """The refusal as a Status, in the form that the client would have had its answer in."""
    headers = {"Cache-Control": "no-cache, private"}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(int(error.retry_after_s))
    status = status_of(error)
    match _form_of_refusals(request.headers.get("Accept", "")):
        case Form.PROTOBUF:
            body, content_type = encode_object(status), PROTOBUF_TYPE
        case Form.YAML:
            body, content_type = to_yaml(status), "application/yaml"
        case _:
            body, content_type = json_texts.written(msgspec.json.encode(status), request), json_texts.JSON
    return web.Response(body=body, status=error.code, headers={**headers, "Content-Type": content_type})


def _form_of_refusals(accept: str) -> Form:
    """JSON unless another form is wanted and can be had."""
    if "protobuf" not in accept and "yaml" not in accept:
        return Form.OBJECT
    try:
        return negotiate(accept, has_protobuf=True)
    except StatusError:
        return Form.OBJECT
