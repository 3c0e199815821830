"""A resource as this server serves it: its type, plus the facts in which kinds differ."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deltawire.common.meta.resources import ResourceType

if TYPE_CHECKING:
    from deltawire.apiserver.cel.rules import Rules

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SEGMENT = re.compile(r"(?!\.\.?$)[^/%]+")

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class NameRule:
    """The pattern of a name. ``told`` is the text for a violation."""

    pattern: re.Pattern[str]
    chars_max: int
    told: str


SUBDOMAIN = NameRule(
    _SUBDOMAIN,
    253,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
)
LABEL = NameRule(
    _LABEL,
    63,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
)
LABEL_1035 = NameRule(
    _LABEL_1035,
    63,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
)
SEGMENT = NameRule(_SEGMENT, 253, "a name must be one path segment: not '.', not '..', without '/' and '%'")


Convert = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a version whose objects look different is stored: ``type`` says as what.

    Both functions get a tree of their own, change it as they like and return it.
    """

    type: ResourceType
    to_stored: Convert
    to_served: Convert
    # Who remembers what a webhook has converted; None where functions do it alone.
    converter: Any = None


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of a resource under a path of its own. Without ``kind`` it is of the resource's own kind.

    ``is_raw`` answers with what is no object: text, or a stream in a protocol of its own.
    """

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""
    is_raw: bool = False


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Dotted paths of the parts that make a Scale; without ``selector`` it has none."""

    replicas: str = "spec.replicas"
    ready: str = "status.replicas"
    selector: str = "spec.selector"


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """A column of a custom resource's table; ``path`` is a JSONPath, ``priority`` above 0 only for wide ones."""

    name: str
    type: str
    path: str
    priority: int = 0


STATUS = Subresource("status", ("get", "patch", "update"))
SCALE = Subresource("scale", ("get", "patch", "update"), "Scale", "autoscaling", "v1")
REPLICAS = ScalePaths()


@dataclass(frozen=True, slots=True)
class Resource:
    """How one group, version and plural is served.

    ``storage_version`` is the version that bodies are stored in; all versions of a custom resource share
    their storage. ``fields`` are the dotted paths that field selectors may name beside metadata.name and
    metadata.namespace. ``takes_status_on_create`` keeps a new object's status, which other kinds with a status
    subresource drop. ``answers_delete_with_object`` says what an immediate delete returns: the object, or
    a Status. ``needs_version_on_update`` refuses an update without resourceVersion. ``verbs`` are what can be
    done with it: a resource with nothing but ``create`` is answered, never stored. ``conversion`` is set for a
    further view of objects that are stored as another type. ``schema`` is the OpenAPI schema of a custom
    resource's version, empty for others, ``rules`` the rules in it, ``columns`` what its table shows.
    ``actions`` are subresources beside status and scale. ``creates_on_update`` makes an object that is updated
    and not there.
    """

    type: ResourceType
    storage_version: str = ""
    list_kind: str = ""
    has_status: bool = False
    has_generation: bool = False
    is_custom: bool = False
    fields: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    name_rule: NameRule = SUBDOMAIN
    takes_status_on_create: bool = False
    answers_delete_with_object: bool = False
    needs_version_on_update: bool = False
    verbs: tuple[str, ...] = VERBS
    scale: ScalePaths | None = None
    actions: tuple[Subresource, ...] = ()
    conversion: Conversion | None = None
    columns: tuple[PrinterColumn, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict, compare=False)
    rules: "Rules | None" = field(default=None, repr=False, compare=False)
    # What field selectors call the stored fields, where the served version has other names.
    field_names: Mapping[str, str] = field(default_factory=dict, compare=False)
    creates_on_update: bool = False
    # Worked out once, because every write and every list needs them: the table's name (``pods``,
    # ``deployments.apps``), how a served body begins, how a stored one does.
    storage: str = field(init=False)
    head: bytes = field(init=False)
    storage_head: bytes = field(init=False)
    _steps: tuple[tuple[str, tuple[str, ...]], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kind = self.type
        stored = self.conversion.type if self.conversion else kind
        version = self.storage_version or stored.version
        object.__setattr__(self, "storage", stored.name)
        object.__setattr__(self, "head", head_of(kind.group, kind.version, kind.kind))
        object.__setattr__(self, "storage_head", head_of(stored.group, version, stored.kind))
        object.__setattr__(self, "list_kind", self.list_kind or f"{kind.kind}List")
        object.__setattr__(self, "_steps", tuple((path, tuple(path.split("."))) for path in self.fields))

    @property
    def converter(self) -> Any:
        """The cache of what the webhook of this version has converted; None without a webhook."""
        return self.conversion.converter if self.conversion is not None else None

    @property
    def is_stored(self) -> bool:
        """False for resources whose objects are questions, answered at once."""
        return self.verbs != ("create",)

    @property
    def subresources(self) -> tuple[Subresource, ...]:
        status = (STATUS,) if self.has_status else ()
        return (*status, *((SCALE,) if self.scale else ()), *self.actions)

    def subresource(self, name: str) -> Subresource | None:
        return next((sub for sub in self.subresources if sub.name == name), None)

    def facts_of(self, obj: dict[str, Any]) -> dict[str, str]:
        """The values of ``fields`` in ``obj``, as text; a missing one is the empty string."""
        return {path: _field_text(obj, steps) for path, steps in self._steps}


def head_of(group: str, version: str, kind: str) -> bytes:
    api_version = f"{group}/{version}" if group else version
    return f'{{"kind":"{kind}","apiVersion":"{api_version}",'.encode()


def _field_text(obj: Any, steps: tuple[str, ...]) -> str:
    for step in steps:
        if not isinstance(obj, dict):
            return ""
        obj = obj.get(step)
    if isinstance(obj, str):
        return obj
    if obj is None:
        return ""
    return str(obj).lower() if isinstance(obj, bool) else str(obj)
