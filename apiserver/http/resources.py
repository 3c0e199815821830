"""The verbs of the API on resources: from a parsed path to an answer."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from aiohttp import web

from deltawire.apiserver.access import reviews
from deltawire.apiserver.access.gate import Gate
from deltawire.apiserver.auth.users import User
from deltawire.apiserver.containers.scripts import Scripts
from deltawire.apiserver.core import failures
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.deletes import Deletion
from deltawire.apiserver.core.lists import Page
from deltawire.apiserver.core.metadata import checked_shape, timestamp
from deltawire.apiserver.core.options import WatchOptions, parse_version
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.faults.plan import FaultPlan
from deltawire.apiserver.http import asking, bodies, long_lists, patches, queries, render, sabotage
from deltawire.apiserver.http.admitting import Admitting
from deltawire.apiserver.http.asked import Asked
from deltawire.apiserver.http.converting import Converting
from deltawire.apiserver.http.frames import error_frame
from deltawire.apiserver.http.negotiate import Form, negotiate
from deltawire.apiserver.http.paths import ResourcePath
from deltawire.apiserver.http.protobuf_frames import open_protobuf
from deltawire.apiserver.http.reading import checked_configuration, checked_name, read_typed, typed_change
from deltawire.apiserver.http.request_log import LoggedRequest, RequestLog
from deltawire.apiserver.http.streams import (
    OpenStreams,
    StreamOptions,
    WatchStream,
    open_response,
)
from deltawire.apiserver.http.subresources import Handler, SubresourceHandlers
from deltawire.apiserver.kinds.types import module_of
from deltawire.apiserver.protobuf.encode import is_known
from deltawire.common.errors import StatusError


class ResourceHandlers:
    """Answers requests for resources. Raises StatusError; the caller writes the Status.

    ``watch_timeout_s`` says how long a watch without timeoutSeconds stays open. ``expired_as_http`` answers
    a watch from a version that is no longer kept with HTTP 410, not with an ERROR inside the stream.
    """

    def __init__(
        self,
        core: ApiCore,
        log: RequestLog,
        streams: OpenStreams,
        gate: Gate,
        plan: FaultPlan,
        scripts: Scripts,
        *,
        bookmark_interval_s: float,
        watch_timeout_s: Callable[[], float],
        expired_as_http: bool = False,
    ) -> None:
        self._core = core
        self._log = log
        self._streams = streams
        self._gate = gate
        self._plan = plan
        self._converting = Converting(core.store)
        self._admitting = Admitting(core, self._converting, gate.authorizer)
        self._subresources = SubresourceHandlers(core, gate.tokens, scripts, streams)
        self._bookmark_interval_s = bookmark_interval_s
        self._watch_timeout_s = watch_timeout_s
        self._told_in_stream = (504,) if expired_as_http else (410, 504)
        self._handlers: dict[str, Handler] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    async def handle(self, request: web.Request, path: ResourcePath, user: User) -> web.StreamResponse:
        """Raises StatusError, and HTTPNotFound for what is not served at all."""
        resource = self._core.catalogue.find(path.group, path.version, path.plural)
        if resource is None or (path.namespace and not resource.type.namespaced):
            if path.group and not any(not r.is_custom for r in self._core.catalogue.in_group(path.group)):
                raise web.HTTPNotFound(text="404 page not found\n")  # an unknown group
            raise failures.nothing_there()
        subresource = resource.subresource(path.subresource) if path.subresource else None
        if path.subresource and subresource is None:
            # Custom resources are looked up before it is known what they have.
            raise failures.not_found(resource, path.name) if resource.is_custom else failures.nothing_there()
        verb = asking.verb_of(request, path)
        if verb not in (subresource.verbs if subresource else resource.verbs):
            raise failures.method_not_allowed()
        self._log.add(
            LoggedRequest(
                self._core.now(),
                verb,
                resource.storage,
                path.namespace,
                request.path,
                dict(request.query),
                request.headers.get("User-Agent", ""),
            )
        )
        await sabotage.meet(self._plan, request, user.name, resource.storage, verb)
        if resource.type.namespaced and not path.namespace and verb not in ("list", "watch"):
            if path.name:
                raise failures.nothing_there()
            raise failures.method_not_allowed()
        # Before anything is done: a form that cannot be served must be refused before the write.
        is_raw = subresource is not None and subresource.is_raw
        accept = request.headers.get("Accept", "")
        form = (
            Form.OBJECT
            if is_raw
            else negotiate(
                accept,
                is_list=verb == "list",
                internal=_internal(resource, verb),
                has_protobuf="protobuf" in accept and is_known(resource.type.api_version, resource.type.kind),
                is_long=verb in ("list", "watch"),
            )
        )
        asked = Asked(request, resource, path, subresource, form, user)
        part = self._subresources.find(path.subresource, verb)
        if part is None:
            return await self._handlers[verb](asked)
        await self._admitting.check_part(asked, verb)
        return await part(asked)

    async def _list(self, asked: Asked) -> web.StreamResponse:
        options = queries.list_options(asked.request.query)
        page = self._core.list(asked.resource, asked.selection, options)
        is_ready = asked.takes_stored_bytes and asked.resource.converter is None
        if is_ready and long_lists.goes_in_pieces(asked.request, page):
            return await long_lists.send_list(asked.request, asked.resource, page)
        return await self._page(asked, page)

    async def _get(self, asked: Asked) -> web.Response:
        version = parse_version(asked.request.query.get("resourceVersion", ""))
        if version > self._core.store.version:
            raise failures.too_large(version, self._core.store.version)
        record = self._core.get(asked.resource, asked.path.name, asked.path.namespace)
        return await self._object(asked, record.body)

    async def _create(self, asked: Asked) -> web.Response:
        if not asked.resource.is_stored:
            return self._review(asked, await bodies.read_object(asked.request))
        asked.check_options("CreateOptions")
        obj = await read_typed(asked)
        create = partial(
            self._core.create,
            asked.resource,
            obj,
            asked.path.namespace,
            manager=asked.manager(),
            on_unknown=asked.on_unknown,
        )
        await self._admitting.name(asked, obj, create)
        record = await self._guarded(asked, create)
        return await self._object(asked, record.body, status=201)

    def _review(self, asked: Asked, obj: Any) -> web.Response:
        review = checked_shape(asked.resource, obj)
        if asked.resource.type.kind == "Binding":
            return self._subresources.bind(asked, obj, str(review["metadata"].get("name", "")))
        now = timestamp(self._core.now())
        answer = reviews.answered(asked.resource, review, asked.user, self._gate, asked.path.namespace, now)
        return asked.answer_tree(answer, status=201)

    async def _update(self, asked: Asked) -> web.Response:
        asked.check_options("UpdateOptions")
        obj = await read_typed(asked)
        update = partial(
            self._core.update,
            asked.resource,
            obj,
            asked.path.name,
            asked.path.namespace,
            subresource=asked.path.subresource,
            manager=asked.manager(),
            on_unknown=asked.on_unknown,
        )
        is_new = asked.resource.creates_on_update and not asked.path.subresource
        is_new = is_new and not self._core.exists(asked.resource, asked.path.name, asked.path.namespace)
        if is_new:
            self._gate.check(replace(asking.attributes(asked.request, asked.path, asked.user), verb="create"))
            update = partial(
                self._core.create,
                asked.resource,
                checked_name(obj, asked.path.name),
                asked.path.namespace,
                manager=asked.manager(),
                on_unknown=asked.on_unknown,
            )
        record = await self._guarded(asked, update)
        return await self._object(asked, record.body, status=201 if is_new else 200)

    async def _patch(self, asked: Asked) -> web.Response:
        asked.check_options("PatchOptions")
        if patches.is_apply(asked.request):
            return await self._apply(asked)
        change = typed_change(asked, await patches.read_change(asked.request, asked.resource))
        patch = partial(
            self._core.patch,
            asked.resource,
            change,
            asked.path.name,
            asked.path.namespace,
            subresource=asked.path.subresource,
            manager=asked.manager(),
            on_unknown=asked.on_unknown,
        )
        record = await self._guarded(asked, patch)
        return await self._object(asked, record.body)

    async def _apply(self, asked: Asked) -> web.Response:
        config = checked_configuration(asked, await patches.read_configuration(asked.request))
        if not self._core.exists(asked.resource, asked.path.name, asked.path.namespace):
            # The right to patch is not one to create.
            self._gate.check(replace(asking.attributes(asked.request, asked.path, asked.user), verb="create"))
        apply = partial(
            self._core.apply,
            asked.resource,
            config,
            asked.path.name,
            asked.path.namespace,
            manager=asked.manager(applies=True),
            force=bool(queries.flag(asked.request.query, "force")),
            on_unknown=asked.on_unknown,
        )
        if self._gate.guards(asked.resource):
            self._gate.check_grant(asked.user, asked.resource, apply(dry_run=True).record.decode())
        applied = await self._admitting.written(asked, apply, lambda applied: applied.record)
        return await self._object(asked, applied.record.body, status=201 if applied.is_new else 200)

    async def _guarded(self, asked: Asked, write: Callable[..., Record]) -> Record:
        """Carry out a write; one that may give permissions away is tried and looked at before."""
        if self._gate.guards(asked.resource):
            self._gate.check_grant(asked.user, asked.resource, write(dry_run=True).decode())
        record: Record = await self._admitting.written(asked, write)
        return record

    async def _delete(self, asked: Asked) -> web.Response:
        resource, path = asked.resource, asked.path
        options = queries.delete_options(asked.request.query, await bodies.read_optional(asked.request))
        record = self._core.get(resource, path.name, path.namespace)
        await self._admitting.check_deletion(asked, record)
        deletion = self._core.delete(resource, path.name, path.namespace, options)
        if (deletion.is_gone or options.dry_run) and not resource.answers_delete_with_object:
            return asked.answer_tree(_deleted(resource, deletion))
        return await self._object(asked, deletion.body)

    async def _delete_collection(self, asked: Asked) -> web.Response:
        options = queries.delete_options(asked.request.query, await bodies.read_optional(asked.request))
        if self._admitting.is_wanted(asked):
            for record in self._core.list(asked.resource, asked.selection).records:
                await self._admitting.check_deletion(asked, record)
        deletions = self._core.delete_collection(asked.resource, asked.selection, options)
        return await self._page(asked, Page([gone.record for gone in deletions], self._core.store.version))

    async def _watch(self, asked: Asked) -> web.StreamResponse:
        query = asked.request.query
        options = queries.watch_options(query)
        timeout_s = float(queries.number(query, "timeoutSeconds")) or self._watch_timeout_s()
        try:
            cursor = self._core.watch(asked.resource, asked.selection, options)
        except StatusError as error:
            if error.code not in self._told_in_stream:
                raise
            # Lost or future versions are reported inside a stream that began well.
            response = await self._opened(asked)
            await response.write(error_frame(error))
            await response.write_eof()
            return response
        stream = WatchStream(
            asked.request,
            asked.resource,
            cursor,
            self._stream_options(asked, options, timeout_s),
            self._streams,
            self._plan,
            asked.user.name,
        )
        response = await self._opened(asked)
        await stream.run(self._converting.stream(response, asked.resource))
        return response

    async def _opened(self, asked: Asked) -> web.StreamResponse:
        return await (open_protobuf if asked.form is Form.PROTOBUF else open_response)(asked.request)

    def _stream_options(self, asked: Asked, options: WatchOptions, timeout_s: float) -> StreamOptions:
        is_first = True
        resource = asked.resource
        if resource.converter is not None:
            # Tables and metadata of a watch cannot wait for a webhook: they show what is stored.
            resource = replace(resource, conversion=None)

        def rendered(body: bytes) -> bytes:
            nonlocal is_first
            headers, is_first = is_first, False
            return render.render_object(
                resource,
                body,
                # A stream is JSON lines: YAML has no place in it.
                Form.OBJECT if asked.form.is_yaml or asked.form is Form.PROTOBUF else asked.form,
                now_s=self._core.now(),
                include=asked.include_object,
                headers=headers,
            )

        is_plain = asked.form in (Form.OBJECT, Form.YAML, Form.PROTOBUF)
        # What a webhook converts is converted on its way out.
        is_stored_form = is_plain and (
            asked.resource.head == asked.resource.storage_head or asked.resource.converter is not None
        )
        return StreamOptions(
            timeout_s=timeout_s,
            bookmark_interval_s=self._bookmark_interval_s,
            allow_bookmarks=options.allow_bookmarks,
            render=None if is_stored_form else rendered,
        )

    async def _page(self, asked: Asked, page: Page) -> web.Response:
        await self._converting.prepare(asked.resource, page.records)
        rendered = render.render_list(
            asked.resource, page, asked.form, now_s=self._core.now(), include=asked.include_object
        )
        return asked.answer(rendered)

    async def _object(self, asked: Asked, body: bytes, *, status: int = 200) -> web.Response:
        rendered = await self._converting.settle(
            lambda: render.render_object(
                asked.resource, body, asked.form, now_s=self._core.now(), include=asked.include_object
            )
        )
        return asked.answer(rendered, status=status)


def _internal(resource: Resource, verb: str) -> str:
    """What the API server calls the type inside; "" where it makes no difference."""
    if verb not in ("get", "list"):
        return ""
    if resource.is_custom:
        return "unstructured.Unstructured"
    return f"{module_of(resource.type.group, '')[:-1]}.{resource.type.kind}"


def _deleted(resource: Resource, deletion: Deletion) -> dict[str, Any]:
    details = {"name": deletion.record.name, "kind": resource.type.plural, "uid": deletion.record.uid}
    if resource.type.group:
        details["group"] = resource.type.group
    success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return success | {"details": failures.in_order(details)}
