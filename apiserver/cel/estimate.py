"""What an expression costs at most, on values that are as large as its schema lets them be.

The units, and what each operation costs, are those of Kubernetes: a rule is refused here when an API server refuses it.
"""

from typing import Any, NamedTuple

from deltawire.apiserver.cel import call_prices as prices
from deltawire.apiserver.cel.bounds import Bound
from deltawire.apiserver.cel.call_prices import Node, Price
from deltawire.apiserver.cel.sizes import UNKNOWN, Size, fixed, plus, share, times
from deltawire.apiserver.cel.syntax import ANY, Kind, Tree

Path = tuple[str, ...]

_SCALARS = ("bool", "double", "duration", "int", "timestamp", "uint")
_ACCUMULATORS = ("@result", "__result__")
_COMPARISONS = ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_")
_NUMBERS = ("int", "uint", "double", "bool", "timestamp", "duration")
# Own types that are alike when one look says so.
_COMPARED_AT_ONCE = ("kubernetes.Quantity", "net.IP", "net.CIDR", "kubernetes.Semver")
_NAMES = {"integer": "int", "number": "double", "boolean": "bool", "object": "message", "dyn": ""}
_TEXT = Kind("string")


class Entries(NamedTuple):
    """What a list or a map holds that an expression makes itself."""

    is_list: bool
    key: Size
    value: Size


class _Local(NamedTuple):
    path: Path
    size: Size | None = None
    entries: Entries | None = None


def cost_of(tree: Tree, root: Bound) -> int:
    """The most that an expression costs where its variables are bounded by ``root``."""
    return _Estimator(tree, root).cost(tree.expr)


class _Estimator:
    def __init__(self, tree: Tree, root: Bound) -> None:
        self._tree, self._root = tree, root
        # By the ids of parts: where their values lie in the object, and what was worked out of their sizes.
        self._paths: dict[int, Path] = {}
        self._sizes: dict[int, Size] = {}
        self._entries: dict[int, Entries] = {}
        self._locals: dict[str, list[_Local]] = {}

    def cost(self, part: Any) -> int:
        if part.HasField("ident_expr"):
            name = part.ident_expr.name
            local = self._local(name)
            self._paths[part.id] = local.path if local is not None else (name,)
            return 1
        if part.HasField("select_expr"):
            return self._select(part)
        if part.HasField("call_expr"):
            return self._call(part)
        if part.HasField("list_expr"):
            return self._list(part)
        if part.HasField("struct_expr"):
            return self._struct(part)
        if part.HasField("comprehension_expr"):
            loop = part.comprehension_expr
            is_bind = loop.iter_range.HasField("list_expr") and not loop.iter_range.list_expr.elements
            return self._bind(part) if is_bind and loop.accu_var not in _ACCUMULATORS else self._loop(part)
        return 0

    def _select(self, part: Any) -> int:
        select = part.select_expr
        cost = self.cost(select.operand)
        if select.test_only:
            return cost
        if self._kind(select.operand).name in ("map", "message", "parameter"):
            cost = plus(cost, 1)
        self._paths[part.id] = (*self._path(select.operand), select.field)
        return cost

    def _list(self, part: Any) -> int:
        elements = part.list_expr.elements
        cost = plus(prices.LIST, *(self.cost(element) for element in elements))
        sizes = [self._size(element) or UNKNOWN for element in elements]
        self._entries[part.id] = Entries(True, fixed(1), _around(sizes))
        return cost

    def _struct(self, part: Any) -> int:
        entries = part.struct_expr.entries
        base = prices.MESSAGE if part.struct_expr.message_name else prices.MAP
        cost = plus(base, *(plus(self.cost(e.map_key), self.cost(e.value)) for e in entries))
        if not part.struct_expr.message_name:
            keys = _around([self._size(e.map_key) or UNKNOWN for e in entries])
            values = _around([self._size(e.value) or UNKNOWN for e in entries])
            self._entries[part.id] = Entries(False, keys, values)
        return cost

    def _bind(self, part: Any) -> int:
        loop = part.comprehension_expr
        cost = plus(self.cost(loop.iter_range), self.cost(loop.accu_init))
        init = loop.accu_init
        local = _Local(self._path(init), self._size(init), self._entries_of(init))
        self._locals.setdefault(loop.accu_var, []).append(local)
        cost = plus(cost, self.cost(loop.result))
        self._locals[loop.accu_var].pop()
        self._keep(part, self._size(loop.result), self._entries_of(loop.result))
        return cost

    def _loop(self, part: Any) -> int:
        loop = part.comprehension_expr
        cost = plus(self.cost(loop.iter_range), self.cost(loop.accu_init))
        init = loop.accu_init
        accu = _Local(self._path(init), self._size(init), self._entries_of(init))
        self._locals.setdefault(loop.accu_var, []).append(accu)
        self._locals.setdefault(loop.iter_var, []).append(self._item(loop.iter_range))
        turn = plus(self.cost(loop.loop_condition), self.cost(loop.loop_step))
        self._locals[loop.iter_var].pop()
        cost = plus(cost, self.cost(loop.result))
        self._locals[loop.accu_var].pop()
        turns = self._size(loop.iter_range) or UNKNOWN
        if init.HasField("const_expr"):
            self._keep(part, self._size(init), None)
        elif init.HasField("list_expr") or init.HasField("struct_expr"):
            self._keep(part, turns, self._entries_of(loop.loop_step))
        return plus(cost, times(turns.most, turn))

    def _item(self, over: Any) -> _Local:
        entries = self._entries_of(over)
        is_list = entries.is_list if entries is not None else self._kind(over).name == "list"
        size = None if entries is None else entries.value if is_list else entries.key
        return _Local((*self._path(over), "@items" if is_list else "@keys"), size)

    def _call(self, part: Any) -> int:
        call = part.call_expr
        args = list(call.args)
        if call.function == "dyn":
            cost = plus(1, self.cost(args[0]))
            self._keep(part, self._size(args[0]), self._entries_of(args[0]))
            return cost
        costs = [self.cost(arg) for arg in args]
        nodes = [self._node(arg) for arg in args]
        total, target = 0, None
        if call.HasField("target"):
            total = self.cost(call.target)
            target = self._node(call.target)
        if call.function in ("_||_", "_&&_"):
            price = Price(plus(*costs))
        elif call.function == "_?_:_":
            price = self._conditional(part, args, nodes, costs)
        else:
            price = prices.price_of(call.function, target, nodes) or self._operator(part, target, nodes)
            price = price._replace(cost=plus(price.cost, *costs))
        size = self._indexed(part, args) if call.function in ("_[_]", "_[?_]") else price.size
        if size is None:
            size = self._size(part)
        self._keep(part, size, None)
        return plus(total, price.cost)

    def _conditional(self, part: Any, args: list[Any], nodes: list[Node], costs: list[int]) -> Price:
        one, other = self._entries_of(args[1]), self._entries_of(args[2])
        self._keep(part, None, _united(one, other))
        return Price(plus(costs[0], max(costs[1:])), nodes[1].sized.union(nodes[2].sized))

    def _indexed(self, part: Any, args: list[Any]) -> Size | None:
        kind = self._kind(args[0]).name
        if kind in ("list", "map"):
            self._paths[part.id] = (*self._path(args[0]), "@items" if kind == "list" else "@values")
        entries = self._entries_of(args[0])
        return entries.value if entries is not None else None

    def _operator(self, part: Any, target: Node | None, nodes: list[Node]) -> Price:
        """The standard functions and operators, by the types of what they are given."""
        name = part.call_expr.function
        if name == "matches" and target is not None:
            return Price(prices.regex_cost(target.sized, nodes[0].sized))
        if name == "contains" and target is not None:
            text, wanted = target.sized.most, nodes[0].sized.most
            return Price(times(share(text, prices.TEXT), share(wanted, prices.TEXT)))
        if name in ("startsWith", "endsWith"):
            return Price(share(nodes[0].sized.most, prices.TEXT))
        if name == "format" and target is not None:
            return Price(share(target.sized.most, prices.TEXT))
        if (
            name in ("string", "bytes", "strings.quote")
            and nodes
            and (nodes[0].is_text or not nodes[0].kind.name)
        ):
            return self._rewritten(name, nodes[0])
        if name == "@in" and self._overload(part) != "in_map":
            return Price(nodes[1].sized.most)
        if name == "_+_" and len(nodes) == 2:
            return self._added(part, nodes)
        if name in _COMPARISONS:
            return self._compared(name, nodes)
        return Price(1)

    def _rewritten(self, name: str, node: Node) -> Price:
        cost, size = share(node.sized.most, prices.TEXT), node.sized
        if name == "strings.quote":
            return Price(cost, Size(plus(size.least, 2), plus(times(size.most, 2), 2)))
        if name == node.kind.name:
            return Price(1)
        if name == "bytes":
            return Price(cost, Size(size.least, times(size.most, 4)))
        return Price(cost, Size(size.least // 4, size.most))

    def _added(self, part: Any, nodes: list[Node]) -> Price:
        kind = nodes[0].kind.name or nodes[1].kind.name
        if kind in _NUMBERS:
            return Price(1)
        size = nodes[0].sized + nodes[1].sized
        self._keep(part, None, _united(*(self._entries_of(arg) for arg in part.call_expr.args)))
        return Price(1 if kind == "list" else share(size.most, prices.TEXT), size)

    def _compared(self, name: str, nodes: list[Node]) -> Price:
        first = nodes[0].kind.name
        if name not in ("_==_", "_!=_") and (first in _NUMBERS or nodes[1].kind.name in _NUMBERS):
            return Price(1)
        if name == "_==_" and first in _COMPARED_AT_ONCE and nodes[1].kind.name == first:
            return Price(1)
        return Price(share(min(nodes[0].sized.most, nodes[1].sized.most), prices.TEXT))

    def _overload(self, part: Any) -> str:
        known = self._tree.overloads.get(part.id) or ("",)
        return known[0] if len(known) == 1 else ""

    def _node(self, part: Any) -> Node:
        path, kind = self._path(part), self._kind(part)
        item = None
        if kind.name == "list" and path and path[0] not in _ACCUMULATORS:
            item = self._at((*path, "@items"))
        constant = part.const_expr if part.HasField("const_expr") else None
        number = constant.int64_value if constant is not None and constant.HasField("int64_value") else None
        return Node(kind, self._size(part), item, number)

    def _size(self, part: Any) -> Size | None:
        """None where nothing is known."""
        known = self._sizes.get(part.id)
        if known is None:
            known = _written(part)
        if known is None:
            path = self._path(part)
            known = self._at(path) if path else None
            if known is not None:
                self._sizes[part.id] = known
        if known is None and _is_scalar(self._kind(part)):
            known = fixed(1)
        if known is None and part.HasField("ident_expr"):
            local = self._local(part.ident_expr.name)
            known = local.size if local is not None else None
        return known

    def _at(self, path: Path) -> Size | None:
        found = self._root.at(path[1:])
        return Size(0, found.size_max) if found is not None else None

    def _entries_of(self, part: Any) -> Entries | None:
        known = self._entries.get(part.id)
        if known is None and part.HasField("ident_expr"):
            local = self._local(part.ident_expr.name)
            return local.entries if local is not None else None
        return known

    def _keep(self, part: Any, size: Size | None, entries: Entries | None) -> None:
        if size is not None:
            self._sizes[part.id] = size
        if entries is not None:
            self._entries[part.id] = entries

    def _path(self, part: Any) -> Path:
        if part.HasField("ident_expr"):
            local = self._local(part.ident_expr.name)
            if local is not None:
                return local.path
        return self._paths.get(part.id, ())

    def _local(self, name: str) -> _Local | None:
        stack = self._locals.get(name)
        return stack[-1] if stack else None

    def _kind(self, part: Any) -> Kind:
        """That of the schema where the expression was not checked."""
        known = self._tree.kinds.get(part.id)
        if known is None and not self._tree.kinds and (path := self._path(part)):
            known = _kind_of(self._root.at(path[1:]))
        return known or ANY


def _around(sizes: list[Size]) -> Size:
    if not sizes:
        return fixed(0)
    return Size(min(size.least for size in sizes), max(size.most for size in sizes))


def _united(one: Entries | None, other: Entries | None) -> Entries | None:
    if one is None or other is None:
        return None
    return Entries(one.is_list, one.key.union(other.key), one.value.union(other.value))


def _written(part: Any) -> Size | None:
    """The size of what stands in the expression itself."""
    if part.HasField("const_expr"):
        constant = part.const_expr
        if constant.HasField("string_value"):
            return fixed(len(constant.string_value))
        return fixed(len(constant.bytes_value) if constant.HasField("bytes_value") else 1)
    if part.HasField("list_expr"):
        return fixed(len(part.list_expr.elements))
    if part.HasField("struct_expr") and not part.struct_expr.message_name:
        return fixed(len(part.struct_expr.entries))
    return None


def _kind_of(bound: Bound | None) -> Kind | None:
    if bound is None:
        return None
    inner = _kind_of(bound.of)
    held = (inner,) if inner is not None else ()
    return Kind(_NAMES.get(bound.kind, bound.kind), (_TEXT, *held) if bound.kind == "map" else held)


def _is_scalar(kind: Kind) -> bool:
    if kind.name == "optional_type" and kind.of:
        return _is_scalar(kind.of[0])
    return kind.name in _SCALARS
