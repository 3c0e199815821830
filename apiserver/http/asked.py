"""A request for a resource, and the answers to it that are more than a status line."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from deltawire.apiserver.auth.users import User
from deltawire.apiserver.core.failures import bad_request, cause, invalid_options
from deltawire.apiserver.core.resource import Resource, Subresource
from deltawire.apiserver.core.selection import Selection, parse_selection
from deltawire.apiserver.http import json_texts, queries, render
from deltawire.apiserver.http.negotiate import PROTOBUF_TYPE, Form
from deltawire.apiserver.http.patches import is_apply
from deltawire.apiserver.http.paths import ResourcePath
from deltawire.apiserver.managed.managers import APPLY, NAME_CHARS_MAX, UPDATE, Manager
from deltawire.apiserver.protobuf.encode import encode_object, is_known
from deltawire.common.errors import StatusError

_DEPRECATED = {
    "endpoints": ("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",),
}
_CONTENT_TYPES = {
    Form.YAML: "application/yaml",
    Form.YAML_TABLE: "application/yaml",
    Form.PROTOBUF: PROTOBUF_TYPE,
}
_VALIDATIONS = ("Ignore", "Strict", "Warn")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known before any of it is done: who asks for what, in which form the answer is due."""

    request: web.Request
    resource: Resource
    path: ResourcePath
    subresource: Subresource | None
    form: Form
    user: User
    warnings: list[str] = field(default_factory=list)

    @property
    def selection(self) -> Selection:
        """Raises StatusError 400 for selectors that cannot be parsed or asked."""
        query = self.request.query
        return parse_selection(
            self.resource,
            self.path.namespace,
            query.get("labelSelector", ""),
            query.get("fieldSelector", ""),
            self.path.name,
        )

    @property
    def include_object(self) -> str:
        return self.request.query.get("includeObject", "")

    @property
    def is_dry_run(self) -> bool:
        return queries.dry_run(self.request.query)

    def manager(self, *, applies: bool = False) -> Manager:
        """The manager of what this request writes. Raises StatusError 422 for an apply without ``fieldManager``."""
        name = self.request.query.get("fieldManager", "")
        if not name and applies:
            told = "Required value: is required for apply patch"
            raise invalid_options("PatchOptions", cause("fieldManager", told, "FieldValueRequired"))
        name = name or self.request.headers.get("User-Agent", "").partition("/")[0] or "unknown"
        return Manager(
            name[:NAME_CHARS_MAX],
            APPLY if applies else UPDATE,
            self.resource.type.api_version,
            self.path.subresource,
        )

    def check_options(self, kind: str) -> None:
        """Query parameters of a write, whose options are called ``kind``. Raises StatusError 422 for all bad ones."""
        query, causes = self.request.query, []
        if len(query.get("fieldManager", "")) > NAME_CHARS_MAX:
            told = f"Too long: may not be more than {NAME_CHARS_MAX} bytes"
            causes.append(cause("fieldManager", told, "FieldValueTooLong"))
        causes += _unprintable(query.get("fieldManager", ""))
        if (why := queries.dry_run_problem(query.getall("dryRun", []))) is not None:
            causes.append(why)
        mode = query.get("fieldValidation", "")
        if mode not in ("", *_VALIDATIONS):
            causes.append(queries.not_supported("fieldValidation", mode, _VALIDATIONS))
        if kind == "PatchOptions" and "force" in query and not is_apply(self.request):
            told = "Forbidden: may not be specified for non-apply patch"
            causes.append(cause("force", told, "FieldValueForbidden"))
        if causes:
            raise invalid_options(kind, *causes)

    @property
    def is_strict(self) -> bool:
        return self.request.query.get("fieldValidation", "") == "Strict"

    def on_duplicates(self, paths: list[str]) -> None:
        """As `on_unknown`, for fields that a text names twice."""
        if paths:
            self._lax([f'duplicate field "{path}"' for path in paths])

    def on_unknown(self, paths: list[str]) -> None:
        """What ``fieldValidation`` wants done about unknown fields: nothing, a warning (the default), an error.

        Raises StatusError 400, 422 for a patch.
        """
        self._lax([f'unknown field "{path}"' for path in paths])

    def _lax(self, told: list[str]) -> None:
        mode = self.request.query.get("fieldValidation", "") or "Warn"
        if mode == "Strict":
            kind, version = self.resource.type.kind, self.resource.type.version
            message = f"strict decoding error: {', '.join(told)}"
            if self.request.method == "PATCH":
                raise StatusError(422, "Invalid", f"error decoding patch: {message}")
            raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {message}')
        if mode == "Warn":
            self.warnings.extend(text for text in told if text not in self.warnings)

    @property
    def takes_stored_bytes(self) -> bool:
        """True if objects are sent as they are kept, neither in another form nor indented."""
        return self.form is Form.OBJECT and not json_texts.wants_indentation(self.request)

    def answer_tree(self, tree: dict[str, Any], *, status: int = 200) -> web.Response:
        """An object that is not stored, in the requested form, or in JSON if it has no such form."""
        form = self.form
        if form.is_yaml:
            return self.answer(render.to_yaml(tree), status=status)
        if form is Form.PROTOBUF and is_known(str(tree.get("apiVersion")), str(tree.get("kind"))):
            return self.answer(encode_object(tree), status=status)
        form = Form.OBJECT if form is Form.PROTOBUF else form
        return self.answer(msgspec.json.encode(tree), status=status, form=form)

    def answer(self, body: bytes, *, status: int = 200, form: Form | None = None) -> web.Response:
        """``body`` as rendered in the form that was asked for."""
        form = form or self.form
        content_type = _CONTENT_TYPES.get(form, json_texts.JSON)
        if content_type == json_texts.JSON:
            body = json_texts.written(body, self.request)
        headers = {"Content-Type": content_type, "Cache-Control": "no-cache, private"}
        response = web.Response(body=body, status=status, headers=headers)
        for text in (*dict.fromkeys(self.warnings), *_DEPRECATED.get(self.resource.storage, ())):
            response.headers.add("Warning", f"299 - {msgspec.json.encode(text).decode()}")
        return response


def _unprintable(name: str) -> list[dict[str, str]]:
    """What is wrong with a manager's name, character by character; places are counted in bytes."""
    # As Go quotes it.
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name)
    return [
        cause(
            "fieldManager",
            f'Invalid value: "{shown}": invalid character U+{ord(character):04X} '
            f"(at position {len(name[:place].encode())})",
        )
        for place, character in enumerate(name)
        if not character.isprintable()
    ]
