"""Strategic merge patch: a merge patch that knows by which key the items of some lists are told apart.

Built-in kinds only; their types say how each list merges (`deltawire.apiserver.kinds`). Directives: ``$patch``
(delete, replace, merge), ``$setElementOrder/FIELD``, ``$deleteFromPrimitiveList/FIELD``, ``$retainKeys``.
"""

from typing import Any

from deltawire.apiserver.kinds.types import Field, Struct
from deltawire.common.errors import StatusError

Tree = dict[str, Any]

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
ORDER = "$setElementOrder/"
DELETE_FROM = "$deleteFromPrimitiveList/"


def strategic_merge_patch(target: Any, patch: Any, known: Struct | None = None) -> Any:
    """``target``, an object of the type ``known``, after ``patch``; neither is changed.

    Raises StatusError: 400 for a patch that is none, 500 for a directive that is not known or an item without
    its key, as the API server does.
    """
    if not isinstance(patch, dict):
        raise StatusError(
            400, "BadRequest", "error decoding patch: a strategic merge patch must be an object"
        )
    return _merged_map(target if isinstance(target, dict) else {}, patch, known)


def _merged_map(target: Tree, patch: Tree, known: Struct | None) -> Tree:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        replaced: Tree = _plain(patch)
        return replaced
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise StatusError(500, "", f"unknown patch type: {directive} in map: {_go_map(patch)}")
    merged = dict(target)
    retained = patch.get(RETAIN_KEYS)
    if retained is not None:
        if not isinstance(retained, list):
            raise StatusError(400, "BadRequest", "invalid patch format of retainKeys")
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        if key in (DIRECTIVE, RETAIN_KEYS) or key.startswith(ORDER):
            continue
        if key.startswith(DELETE_FROM):
            name = key.removeprefix(DELETE_FROM)
            merged[name] = [item for item in _list(merged.get(name)) if item not in _list(value)]
        elif value is None:
            merged.pop(key, None)
        elif merged.get(key) is None and isinstance(value, dict) and DIRECTIVE in value:
            continue  # nothing is there to replace or to delete
        else:
            merged[key] = _merged_value(merged.get(key), value, _field(known, key), patch.get(ORDER + key))
    for key, order in patch.items():
        if key.startswith(ORDER) and (name := key.removeprefix(ORDER)) not in patch and name in merged:
            live = _list(merged[name])
            merged[name] = _ordered(live, live, _list(order), _key(_field(known, name)))
    return merged


def _merged_value(target: Any, value: Any, field: Field | None, order: Any) -> Any:
    if isinstance(value, dict):
        return _merged_map(target if isinstance(target, dict) else {}, value, _struct(field))
    if not isinstance(value, list):
        return value
    key = _key(field)
    if key is None:
        return _plain(value)
    live = _list(target)
    if order is not None:
        _check_order(value, _list(order), key)
    if key:
        merged = _merged_list(live, value, key, _struct(field))
    else:
        merged = live + [item for item in value if item not in live]
    return _ordered(merged, live, value if order is None else _list(order), key)


def _field(known: Struct | None, name: str) -> Field | None:
    return known.fields.get(name) if known is not None else None


def _struct(field: Field | None) -> Struct | None:
    """The type of a field's value, or of the items in it."""
    type_ = field.type if field is not None else None
    while type_ is not None and type_.of is not None:
        type_ = type_.of
    return type_.struct if type_ is not None and type_.kind == "struct" else None


def _key(field: Field | None) -> str | None:
    """The field by which items merge, "" for plain values that are joined, None for a list that is replaced."""
    return field.patch_key if field is not None else None


def _merged_list(target: list[Any], patch: list[Any], key: str, known: Struct | None) -> list[Any]:
    if any(not isinstance(item, dict) for item in patch):
        return patch
    if any(item.get(DIRECTIVE) == "replace" for item in patch):
        return [_plain(item) for item in patch if item.get(DIRECTIVE) != "replace" or len(item) > 1]
    result = list(target)
    for item in patch:
        if key not in item:
            told = f"map: {_go_map(item)} does not contain declared merge key: {key}"
            raise StatusError(500, "", told)
        at = next(
            (i for i, old in enumerate(result) if isinstance(old, dict) and old.get(key) == item[key]), None
        )
        if item.get(DIRECTIVE) == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(_merged_map({}, item, known))
        else:
            result[at] = _merged_map(result[at], item, known)
    return result


def _ordered(items: list[Any], live: list[Any], order: list[Any], key: str | None) -> list[Any]:
    """``items`` in the asked order; those it does not name go before the first one that stood behind them."""

    def mark(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted = [mark(entry) for entry in order]
    places = {_hashable(mark(item)): position for position, item in enumerate(live)}
    named = sorted(
        (item for item in items if mark(item) in wanted), key=lambda item: wanted.index(mark(item))
    )
    others = [item for item in items if mark(item) not in wanted]
    others.sort(key=lambda item: places.get(_hashable(mark(item)), len(places)))
    result, at = named, 0
    for item in others:
        place = places.get(_hashable(mark(item)))
        while at < len(result):
            there = places.get(_hashable(mark(result[at])))
            if place is not None and there is not None and there > place:
                break
            at += 1
        result.insert(at, item)
        at += 1
    return result


def _check_order(patch: list[Any], order: list[Any], key: str) -> None:
    """What a patch sets stands in the order that it asks for. Raises StatusError 500."""

    def mark(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    given = [item for item in patch if not (isinstance(item, dict) and DIRECTIVE in item)]
    wanted = iter([mark(entry) for entry in order])
    if not all(any(mark(item) == name for name in wanted) for item in given):
        told = f"The order in patch list:\n{_go(patch)}\n doesn't match {ORDER[:-1]} list:\n{_go(order)}\n"
        raise StatusError(500, "", told.rstrip("\n"))


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _plain(value: Any) -> Any:
    """``value`` without directives, as it is stored where nothing is there to merge with."""
    if isinstance(value, dict):
        return {
            key: _plain(child)
            for key, child in value.items()
            if child is not None
            and key not in (DIRECTIVE, RETAIN_KEYS)
            and not key.startswith((ORDER, DELETE_FROM))
        }
    return [_plain(child) for child in value] if isinstance(value, list) else value


def _go_map(tree: Tree) -> str:
    """A map as Go prints it."""
    return f"map[{' '.join(f'{key}:{_go(value)}' for key, value in sorted(tree.items()))}]"


def _go(value: Any) -> str:
    match value:
        case dict():
            return _go_map(value)
        case list():
            return f"[{' '.join(map(_go, value))}]"
        case bool():
            return str(value).lower()
        case None:
            return "<nil>"
    return str(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
