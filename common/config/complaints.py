"""What is wrong with a config, in words: which field, what it may be. From msgspec's complaints. Pure.

Not here: reading files (``load``).
"""

import copy
import difflib
import re
from collections.abc import Callable
from typing import Any

import msgspec

from deltawire.common.config.schema import NAME_PATTERN, Config
from deltawire.common.errors import ConfigError

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]+)`")
_ENUM = re.compile(r"Invalid enum value (?P<value>.*)", re.DOTALL)
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_PATTERN = re.compile(r"Expected `str` matching regex '(?P<pattern>.*)'")
_STEP = re.compile(r"\.(?P<field>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
# What other systems call it.
_SYNONYMS = {"all": "every", "each": "every", "last": "latest", "newest": "latest"}


def explain(text: str, raw: Any, convert: Callable[[Any], Any]) -> ConfigError:
    """The error for msgspec's ``text`` about ``raw``; ``convert`` is what complained."""
    match = _AT.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    steps: list[str | int] = [
        s["field"] or (s["index"] if s["index"] == "..." else int(s["index"])) for s in _STEP.finditer(path)
    ]
    steps = _with_keys(steps, text, raw, convert)
    where = _written(steps)
    unknown = _UNKNOWN.search(what)
    if unknown is not None:
        field = unknown["field"]
        close = difflib.get_close_matches(field, _known_keys(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "docs/config.md lists the keys"
        return ConfigError("unknown key", path=f"{where}.{field}".removeprefix("."), hint=hint)
    enum = _ENUM.fullmatch(what)
    allowed = _allowed(steps) if enum else []
    if enum and allowed:
        value = enum["value"].strip("'\"")
        meant = _SYNONYMS.get(value.lower(), "")
        close = [meant] if meant in allowed else difflib.get_close_matches(value, allowed, n=1)
        said = " or ".join(f"`{one}`" for one in allowed)
        hint = f"did you mean {close[0]!r}?" if close else ""
        return ConfigError(f"{value!r} is not known here; it is {said}", path=where or "config", hint=hint)
    pattern = _PATTERN.fullmatch(what)
    if pattern is not None and pattern["pattern"] == NAME_PATTERN:
        hint = "lower case letters, digits and '-', at most 63, neither first nor last a '-'"
        return ConfigError(f"{_at(raw, steps)!r} is no name", path=where or "config", hint=hint)
    return ConfigError(what.replace("Object", "the map").replace("`null`", "nothing"), path=where or "config")


def _with_keys(steps: list[str | int], text: str, raw: Any, convert: Callable[[Any], Any]) -> list[str | int]:
    """``[...]``, which stands for any key of a map, replaced by the key that is complained about."""
    found: list[str | int] = []
    for step in steps:
        found.append(_key(found, text, raw, convert) if step == "..." else step)
    return found


def _key(steps: list[str | int], text: str, raw: Any, convert: Callable[[Any], Any]) -> str | int:
    """The key of the map at ``steps`` that the complaint is about: the one with which alone it is the same."""
    for key in list(_at(raw, steps) or ()):
        alone = copy.deepcopy(raw)
        entry = _at(alone, steps)
        if not isinstance(entry, dict):
            break
        for other in [k for k in entry if k != key]:
            del entry[other]
        try:
            convert(alone)
        except msgspec.ValidationError as error:
            if str(error) == text:
                return str(key)
    return "..."


def _at(tree: Any, steps: list[str | int]) -> Any:
    for step in steps:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def _written(steps: list[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _allowed(steps: list[str | int]) -> list[str]:
    """The words that a field may be; [] where that is not to be found."""
    info: Any = msgspec.inspect.type_info(Config)
    for step in steps:
        info = _inside(info, step)
    for one in _alternatives(info):
        if isinstance(one, msgspec.inspect.LiteralType):
            return [str(value) for value in one.values]
    return []


def _inside(info: Any, step: str | int) -> Any:
    for one in _alternatives(info):
        if isinstance(one, msgspec.inspect.StructType) and isinstance(step, str):
            for field in one.fields:
                if field.encode_name == step:
                    return field.type
        elif isinstance(one, msgspec.inspect.DictType) and isinstance(step, str):
            return one.value_type
        elif isinstance(one, msgspec.inspect.ListType) and isinstance(step, int):
            return one.item_type
    return None


def _alternatives(info: Any) -> tuple[Any, ...]:
    if isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    return tuple(info.types) if isinstance(info, msgspec.inspect.UnionType) else (info,)


def _known_keys() -> list[str]:
    schema = msgspec.json.schema(Config)
    keys: set[str] = set()
    for definition in schema["$defs"].values():
        keys.update(definition.get("properties", {}))
    return sorted(keys)
