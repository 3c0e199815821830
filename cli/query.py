"""What ``get`` asks of a cache: by name, namespace, labels, fields, index; once, or as it changes."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from deltawire.cli.changes import POLL_S, ChangeFeed, Patience
from deltawire.cli.output import formats
from deltawire.cli.output.table import table_lines
from deltawire.cli.stores import Cache
from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError
from deltawire.common.meta.keys import key_of, split_key
from deltawire.common.meta.resources import ResourceType
from deltawire.common.meta.selectors import parse_field_selector, parse_label_selector
from deltawire.common.store.layout import Row

Tree = dict[str, Any]
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Query:
    """One question. ``namespace`` "" means all. Raises ConfigError for a selector that cannot be read."""

    def __init__(
        self,
        resource: ResourceType,
        *,
        namespace: str,
        names: Sequence[str] = (),
        labels: str = "",
        fields: str = "",
        index: str | None = None,
    ) -> None:
        self.resource = resource
        self._namespace = namespace
        self._names = list(dict.fromkeys(names))
        try:
            self._labels = parse_label_selector(labels)
            self._fields = parse_field_selector(fields)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        self._read_fields = formats.field_getter(self._fields.paths)
        self._index: tuple[str, str] | None = None
        if index is not None:
            name, sign, value = index.partition("=")
            if not sign or not name:
                raise ConfigError(f"{index!r} is not NAME=VALUE", path="--index", hint="as in by-node=node-3")
            self._index = name, value
        if self._names and not namespace and resource.namespaced:
            raise ConfigError("a resource cannot be retrieved by name across all namespaces")
        if self._names and (labels or fields or index):
            raise ConfigError("name cannot be provided when a selector is specified")

    def run(self, cache: Cache, *, names_only: bool = False) -> tuple[Iterator[Tree], list[str]]:
        """The matching objects by key, as they are read, and the names that are not there.

        ``names_only``: what of an object is not asked for is not decoded either.
        """
        if self._names:
            rows = {name: cache.get(key_of(self._namespace, name)) for name in self._names}
            return (
                (self.object_of(row) for row in rows.values() if row is not None),
                [name for name, row in rows.items() if row is None],
            )
        return self._matching(cache, names_only), []

    def _matching(self, cache: Cache, names_only: bool) -> Iterator[Tree]:
        is_decoded = not names_only or not (self._labels.is_everything and self._fields.is_everything)
        for row in self._candidates(cache):
            obj = self.object_of(row) if is_decoded else {"metadata": {"name": split_key(row.key)[1]}}
            if self.matches(row.key, obj):
                yield obj

    def object_of(self, row: Row) -> Tree:
        return formats.with_type(_decode(row.object), self.resource)

    def matches(self, key: str, obj: Tree) -> bool:
        namespace, _, name = key.partition("/")
        if (self._namespace and namespace != self._namespace) or (self._names and name not in self._names):
            return False
        labels = obj.get("metadata", {}).get("labels") or {}
        return self._labels.matches(labels) and (
            self._fields.is_everything or self._fields.matches(self._read_fields(obj))
        )

    def _candidates(self, cache: Cache) -> Iterator[Row]:
        if self._index is not None:
            return cache.indexed(*self._index)
        return cache.rows(f"{self._namespace}/" if self._namespace else "")


def follow(
    cache: Cache,
    query: Query,
    shape: tuple[str, str],
    *,
    show_namespace: bool,
    clock: Clock,
    each_turn: Callable[[float], None],
    say: Callable[[str], None],
) -> None:
    """Print each change from now on, until interrupted: kubectl's -w prints a deleted object once more.

    ``each_turn`` is called with the monotonic instant before each look; ``say`` prints a line beside what is printed.
    """
    feed, patience = ChangeFeed(cache), Patience(say)
    try:
        while True:
            each_turn(clock.now_s())
            for change in patience.poll(feed):
                row = change.new or change.old
                if row is None:
                    continue
                obj = query.object_of(row)
                if not query.matches(row.key, obj):
                    continue
                for line in _lines(obj, query.resource, shape, show_namespace, clock.wall_s()):
                    sys.stdout.write(line + "\n")
            sys.stdout.flush()
            clock.sleep(POLL_S)
    except KeyboardInterrupt:
        return


def _lines(
    obj: Tree, resource: ResourceType, shape: tuple[str, str], show_namespace: bool, now_s: float
) -> list[str]:
    if shape[0] in ("table", "wide"):
        is_wide = shape[0] == "wide"
        return table_lines(
            [obj],
            resource,
            is_wide=is_wide,
            show_namespace=show_namespace,
            now_s=now_s,
            with_header=False,
        )
    return list(
        formats.lines([obj], resource, shape, is_one=True, show_namespace=show_namespace, now_s=now_s)
    )
