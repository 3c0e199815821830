"""Values of objects as rules see them: fields under their escaped names, times as times, whole numbers as such."""

from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from deltawire.apiserver.cel.names import escaped
from deltawire.apiserver.cel.shapes import properties_of, shape_of
from deltawire.apiserver.kinds.durations import seconds_of


def value_of(schema: Mapping[str, Any], value: Any, *, is_root: bool = False) -> Any:
    """``value`` without what rules cannot see of it."""
    if value is None or schema.get("x-kubernetes-int-or-string"):
        return value
    if isinstance(value, list):
        items = schema.get("items")
        return [value_of(items, item, is_root=_is_root(items)) for item in value] if items else []
    if isinstance(value, dict):
        return _map(schema, value, is_root=is_root)
    if isinstance(value, str):
        return _text(schema.get("format", ""), value)
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if schema.get("type") == "integer" and isinstance(value, float):
        return int(value)
    return value


def _map(schema: Mapping[str, Any], value: dict[str, Any], *, is_root: bool) -> dict[str, Any]:
    further = schema.get("additionalProperties")
    if isinstance(further, Mapping):
        return {name: value_of(further, child, is_root=_is_root(further)) for name, child in value.items()}
    seen = {}
    for name, child in properties_of(schema, is_root=is_root).items():
        known = escaped(name)
        if name in value and known is not None and shape_of(child) is not None:
            seen[known] = value_of(child, value[name], is_root=_is_root(child))
    return seen


def _is_root(schema: Any) -> bool:
    return isinstance(schema, Mapping) and bool(schema.get("x-kubernetes-embedded-resource"))


def _text(form: str, text: str) -> Any:
    """Text that is of a form which it does not fit stays text: rules see it as it is."""
    try:
        match form:
            case "byte":
                return b64decode(text, validate=True)
            case "date" | "date-time":
                return _time(text)
            case "duration":
                return _duration(text)
    except ValueError:
        pass
    return text


def _time(text: str) -> Any:
    from google.protobuf.timestamp_pb2 import Timestamp

    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _duration(text: str) -> Any:
    from google.protobuf.duration_pb2 import Duration

    whole, nanos = divmod(round(seconds_of(text) * 10**9), 10**9)
    return Duration(seconds=whole, nanos=nanos)
