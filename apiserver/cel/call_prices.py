"""What calls of functions cost at most, by the sizes of what they are given. The figures are those of Kubernetes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from deltawire.apiserver.cel.sizes import MOST, UNKNOWN, Size, fixed, plus, share, times
from deltawire.apiserver.cel.syntax import Kind

# Reading through a text costs a tenth per character, a regular expression a quarter per character of its own.
TEXT, PATTERN = 0.1, 0.25
LIST, MAP, MESSAGE = 10, 30, 40
# The longest pattern of a named format.
_FORMAT_CHARS_MAX = 128
_ADDRESS = Size(4, 16)
# Two authorization checks fit into one expression.
_CHECK = 350_000


class Node(NamedTuple):
    """What a function is given. ``item`` is the size of what a list holds."""

    kind: Kind
    size: Size | None
    item: Size | None = None
    number: int | None = None

    @property
    def sized(self) -> Size:
        """Its size, whatever it may be where nothing is known."""
        return UNKNOWN if self.size is None else self.size

    @property
    def is_text(self) -> bool:
        return self.kind.name in ("string", "bytes")


class Price(NamedTuple):
    """Of the call alone, without what its arguments cost; with the size of what it gives, where that is known."""

    cost: int
    size: Size | None = None


_Nodes = Sequence[Node]
_Reckoning = Callable[[Node | None, _Nodes], Price | None]


def price_of(function: str, target: Node | None, args: _Nodes) -> Price | None:
    """None for a function without a price of its own, such as operators."""
    found = _BY_NAME.get(function)
    return found(target, args) if found is not None else None


def regex_cost(text: Size, pattern: Size) -> int:
    """A regular expression against a text."""
    return times(share(plus(text.most, 1), TEXT), share(pattern.most, PATTERN))


def _nominal(_target: Node | None, _args: _Nodes) -> Price:
    return Price(1)


def _parsed(factor: float) -> _Reckoning:
    def reckoned(_target: Node | None, args: _Nodes) -> Price | None:
        return Price(share(args[0].sized.most, factor)) if args else None

    return reckoned


def _through(target: Node | None, _args: _Nodes) -> Price | None:
    return Price(share(target.sized.most, TEXT), target.sized) if target is not None else None


def _url(_target: Node | None, args: _Nodes) -> Price | None:
    return Price(share(args[0].sized.most, TEXT), args[0].sized) if len(args) == 1 else None


def _compared(target: Node | None, _args: _Nodes) -> Price | None:
    """Every item of a list once, with all its text."""
    if target is None:
        return None
    if target.kind.name != "list":
        return Price(share(target.sized.most, TEXT))
    each = 1
    if target.kind.of and target.kind.of[0].name in ("string", "bytes"):
        each = plus(each, share((target.item or UNKNOWN).most, TEXT))
    return Price(times(target.sized.most, each))


def _replace(target: Node | None, args: _Nodes) -> Price | None:
    if target is None or len(args) < 2:
        return None
    text, old, new = target.sized, args[0].sized, args[1].sized
    most, kept_most, least, kept_least = 0, 0, 0, 0
    if old.least == 0:
        most, kept_most = plus(text.most, 1), text.most
    elif new.most <= old.least:
        kept_most = text.most
    else:
        most = share(text.most, 1 / old.least)
    if old.most == 0:
        least, kept_least = plus(text.least, 1), text.least
    elif old.most <= new.least:
        kept_least = text.least
    else:
        least = share(text.least, 1 / old.most)
    given = Size(least, most).by(new) + Size(kept_least, kept_most)
    return Price(share(text.most, 2 * TEXT), given)


def _split(target: Node | None, args: _Nodes) -> Price | None:
    if target is None:
        return None
    most = target.sized.most
    if len(args) > 1 and args[1].number is not None:
        most = args[1].number if args[1].number >= 0 else MOST
    return Price(share(target.sized.most, 2 * TEXT), Size(0, most))


def _join(target: Node | None, args: _Nodes) -> Price | None:
    if target is None:
        return None
    count = target.sized
    size = count.by(target.item or UNKNOWN)
    if args:
        size += args[0].sized.by(Size(max(0, count.least - 1), max(0, count.most - 1)))
    return Price(share(size.most, TEXT), size)


def _find(target: Node | None, args: _Nodes) -> Price | None:
    if target is None or not args:
        return None
    return Price(regex_cost(target.sized, args[0].sized), Size(0, target.sized.most))


def _ip(target: Node | None, args: _Nodes) -> Price | None:
    return Price(1) if target is not None else _parsed(TEXT)(target, args)


def _contains(extra: int) -> _Reckoning:
    def reckoned(_target: Node | None, args: _Nodes) -> Price | None:
        if not args:
            return None
        cost = plus(share(2 * _ADDRESS.most, TEXT), extra)
        return Price(plus(cost, share(args[0].sized.most, TEXT)) if args[0].kind.name == "string" else cost)

    return reckoned


def _validate(_target: Node | None, args: _Nodes) -> Price | None:
    if not args:
        return None
    return Price(share(share(args[0].sized.most, TEXT), _FORMAT_CHARS_MAX * PATTERN))


def _selector(_target: Node | None, args: _Nodes) -> Price | None:
    if len(args) != 1:
        return None
    chars = args[0].sized.most
    return Price(plus(LIST, share(chars, TEXT), share(share(chars, 0.5), LIST + MESSAGE)))


def _made(factor: float, size: Size) -> Price:
    return Price(plus(share(size.most, factor), 1, LIST), size)


def _slice(target: Node | None, args: _Nodes) -> Price | None:
    if target is None or len(args) != 2:
        return None
    start = args[0].number if args[0].number is not None else 0
    end = args[1].number if args[1].number is not None else target.sized.most
    return _made(1, fixed(max(0, end) - max(0, start)))


def _range(target: Node | None, args: _Nodes) -> Price | None:
    return _made(1, fixed(max(0, args[0].number) if args[0].number is not None else MOST))


def _flatten(target: Node | None, args: _Nodes) -> Price | None:
    if target is None:
        return None
    depth = 1 if not args else args[0].number if args[0].number is not None else MOST
    return _made(max(0, depth), target.sized)


def _reverse(target: Node | None, _args: _Nodes) -> Price | None:
    return _made(1, target.sized) if target is not None else None


def _distinct(target: Node | None, _args: _Nodes) -> Price | None:
    return _made(2, target.sized.by(target.sized)) if target is not None else None


def _sort(target: Node | None, _args: _Nodes) -> Price | None:
    if target is None:
        return None
    is_text = bool(target.kind.of) and target.kind.of[0].name in ("string", "bytes")
    return _made(2 + TEXT if is_text else 2, target.sized.by(target.sized))


def _sets(factor: int) -> _Reckoning:
    def reckoned(_target: Node | None, args: _Nodes) -> Price | None:
        return Price(plus(share(args[0].sized.by(args[1].sized).most, factor), 1)) if len(args) == 2 else None

    return reckoned


def _named(reckoning: Any, names: str) -> dict[str, _Reckoning]:
    return dict.fromkeys(names.split(), reckoning)


_BY_NAME: dict[str, _Reckoning] = {
    "check": lambda _target, _args: Price(_CHECK),
    **_named(
        _nominal, "serviceAccount path group resource subresource namespace name allowed reason error errored"
    ),
    **_named(_selector, "fieldSelector labelSelector"),
    **_named(_compared, "isSorted sum max min indexOf lastIndexOf"),
    **_named(_url, "url jsonpatch.escapeKey"),
    **_named(_through, "lowerAscii upperAscii substring trim"),
    "replace": _replace,
    "split": _split,
    "join": _join,
    **_named(_find, "find findAll"),
    **_named(_parsed(TEXT), "cidr isIP isCIDR quantity isQuantity semver isSemver"),
    "ip.isCanonical": _parsed(2 * TEXT),
    "ip": _ip,
    **_named(
        _nominal,
        "masked prefixLength family isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast",
    ),
    **_named(_nominal, "isGlobalUnicast format.named major minor patch"),
    "containsIP": _contains(0),
    # The address is masked and looked through again.
    "containsCIDR": _contains(share(_ADDRESS.most, TEXT) + 1),
    "validate": _validate,
    **_named(
        _nominal, "sign asInteger isInteger asApproximateFloat isGreaterThan isLessThan compareTo add sub"
    ),
    **_named(_nominal, "getScheme getHostname getHost getPort getEscapedPath getQuery"),
    "slice": _slice,
    "lists.range": _range,
    "flatten": _flatten,
    "reverse": _reverse,
    "distinct": _distinct,
    "sort": _sort,
    **_named(_sets(1), "sets.contains sets.intersects"),
    "sets.equivalent": _sets(2),
}
