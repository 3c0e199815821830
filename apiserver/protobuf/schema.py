"""The table of messages: which field number is which part of an object, and of what type.

A message is written as one line of ``number:name:type`` words. Types: ``s`` string, ``i`` whole number,
``b`` boolean, ``y`` bytes, ``[]T`` list, ``{}T`` map with string keys, the special messages of `SPECIAL`,
or the name of a message (of the same package, or ``package.Name``). A trailing ``!`` keeps a value though it
is empty: Go has a pointer there, or writes it always. A field without a name is embedded: its parts belong
to the message around it.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

SCALARS = frozenset("sibyd")
SPECIAL = frozenset(("Time", "MicroTime", "Quantity", "IntOrString", "Raw", "Duration", "Strings"))


@dataclass(frozen=True, slots=True)
class Field:
    """``container`` is "", "[]" or "{}"; ``type`` a scalar, a special message or ``package.Message``."""

    name: str
    container: str
    type: str
    keeps_empty: bool


@cache
def message_of_kind(api_version: str, kind: str) -> str | None:
    """The message that carries a kind, None where it is not known. DeleteOptions come in every version."""
    kinds: dict[str, str] = _table()["kinds"]
    return kinds.get(f"{api_version} {kind}") or kinds.get(f"* {kind}")


@cache
def fields_of(message: str) -> dict[int, Field]:
    """The fields of ``package.Message`` by number."""
    package, _, name = message.partition(".")
    line: str = _table()["messages"][package][name]
    return dict(_field(package, word) for word in line.split())


def _field(package: str, word: str) -> tuple[int, Field]:
    number, name, written = word.split(":")
    of = written.removesuffix("!")
    container = of[:2] if of[:2] in ("[]", "{}") else ""
    of = of[len(container) :]
    if of not in SCALARS and of not in SPECIAL and "." not in of:
        of = f"{package}.{of}"
    return int(number), Field(name, container, of, keeps_empty=written.endswith("!"))


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = msgspec.json.decode(files(__package__).joinpath("fields.json").read_bytes())
    return table
