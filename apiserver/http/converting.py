"""Operations on objects whose versions a webhook converts: tried until nothing is left to convert."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from deltawire.apiserver.admission.conversion_calls import convert
from deltawire.apiserver.core.conversions import REMEMBERED_MAX, Converter, NeedsConversion
from deltawire.apiserver.core.failures import unnamed
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.core.store import Store
from deltawire.apiserver.http.streams import Sink

_T = TypeVar("_T")

# Conversions that one operation may need, one after the other: from what is stored, to it, and back, twice.
ATTEMPTS_MAX = 12


class Converting:
    """For one server; where no webhook converts, operations are done at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def settle(self, operation: Callable[[], _T]) -> _T:
        """The outcome of ``operation``, which changes nothing before all that it needs is converted."""
        for _ in range(ATTEMPTS_MAX):
            try:
                return operation()
            except NeedsConversion as needed:
                await convert(self._store, needed)
        raise unnamed("conversion does not come to an end: the webhook answers differently each time")

    async def prepare(self, resource: Resource, records: list[Record]) -> None:
        """Have all records of a page converted with one call."""
        converter: Converter | None = resource.converter
        if converter is None:
            return
        if len(records) > REMEMBERED_MAX:
            raise unnamed(f"more than {REMEMBERED_MAX} objects to convert at once: ask for pages (limit=500)")
        trees = [record.decode() for record in records]
        await self._convert_all(converter, trees, resource.type.api_version)

    async def _convert_all(self, converter: Converter, trees: list[dict[str, Any]], wanted: str) -> None:
        missing = [tree for tree in trees if not converter.is_known(tree, wanted)]
        if missing:
            await convert(self._store, NeedsConversion(converter, missing, wanted))

    def stream(self, response: Sink, resource: Resource) -> Sink:
        """Where a watch writes to: of converted objects each event is converted on its way."""
        return response if resource.converter is None else _ConvertedStream(response, self, resource)


class _ConvertedStream:
    """The events of a watch, which come as they are stored, in the version that was asked for."""

    def __init__(self, response: Sink, converting: Converting, resource: Resource) -> None:
        self._response = response
        self._converting = converting
        self._resource = resource

    async def write(self, data: bytes, /) -> None:
        lines = data.splitlines(keepends=True)
        await self._response.write(b"".join([await self._converted(line) for line in lines]))

    async def write_eof(self) -> None:
        await self._response.write_eof()

    async def _converted(self, line: bytes) -> bytes:
        try:
            event: Any = msgspec.json.decode(line)
            obj = event["object"]
        except (msgspec.DecodeError, KeyError, TypeError):
            return line
        conversion = self._resource.conversion
        if conversion is None or obj.get("kind") != self._resource.type.kind or "uid" not in obj["metadata"]:
            return line  # a bookmark, an error
        made = await self._converting.settle(lambda: conversion.to_served(obj))
        return msgspec.json.encode({**event, "object": made}) + b"\n"
