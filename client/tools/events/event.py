"""A core/v1 Event in the making, and the object that it is about."""

import datetime
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deltawire.client.tools.objects import field, metadata
from deltawire.common.errors import ConfigError

NORMAL, WARNING = "Normal", "Warning"
TYPES = (NORMAL, WARNING)
NAME_CHARS_MAX = 253
# What a server accepts as the name of an Event: a DNS subdomain.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Reference:
    """Which object: what a person needs to find it, and its uid."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of events: a component (a controller's name) and the host that it runs on."""

    component: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One Event. Instants are wall time in seconds. ``count`` above 1: it was written before."""

    reference: Reference
    source: Source
    type: str
    reason: str
    message: str
    first_at_s: float
    last_at_s: float
    name: str
    count: int = 1
    resource_version: str = ""
    annotations: Mapping[str, str] | None = None

    @property
    def namespace(self) -> str:
        """An Event about an object without a namespace stands in ``default``."""
        return self.reference.namespace or "default"

    def body(self) -> dict[str, Any]:
        """As the API wants it for a create."""
        about, made = self.reference, {"name": self.name, "namespace": self.namespace}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {**made, **({"annotations": dict(self.annotations)} if self.annotations else {})},
            "involvedObject": _without_empty(
                apiVersion=about.api_version,
                kind=about.kind,
                namespace=about.namespace,
                name=about.name,
                uid=about.uid,
                resourceVersion=about.resource_version,
                fieldPath=about.field_path,
            ),
            "type": self.type,
            "reason": self.reason,
            "message": self.message,
            "count": self.count,
            "firstTimestamp": _time(self.first_at_s),
            "lastTimestamp": _time(self.last_at_s),
            "source": _without_empty(component=self.source.component, host=self.source.host),
            "reportingComponent": self.source.component,
            "reportingInstance": self.source.host,
        }

    def patch(self) -> dict[str, Any]:
        """What changes when it happens again."""
        return {"count": self.count, "lastTimestamp": _time(self.last_at_s), "message": self.message}


def reference_of(obj: Any) -> Reference:
    """The reference to an object, raw or typed. Raises ConfigError where it does not say what it is."""
    if isinstance(obj, Reference):
        return obj
    api_version, kind = str(field(obj, "apiVersion") or ""), str(field(obj, "kind") or "")
    name = metadata(obj, "name")
    if not kind or not api_version or not name:
        raise ConfigError(
            "an object needs apiVersion, kind and a name to have events",
            hint="items of a typed list have neither apiVersion nor kind: give a Reference",
        )
    return Reference(
        api_version,
        kind,
        name,
        metadata(obj, "namespace"),
        metadata(obj, "uid"),
        metadata(obj, "resourceVersion"),
    )


def event_name(name: str, wall_ns: int, new_uuid: Callable[[], uuid.UUID] = uuid.uuid4) -> str:
    """The name of an event about ``name``, as client-go makes it: the object's, and the moment in nanoseconds.

    Where that is no name that a server accepts (``system:node:x`` is none, nor one that is too long), a new UUID.
    """
    found = f"{name}.{wall_ns:x}"
    return found if len(found) <= NAME_CHARS_MAX and _NAME.fullmatch(found) else str(new_uuid())


def _time(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _without_empty(**fields: str) -> dict[str, str]:
    return {key: value for key, value in fields.items() if value}
