"""Objects as JSON and YAML documents, one object or a List, written while they are read.

The same text as of the whole document at once, as kubectl writes it: keys sorted, JSON indented by four.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import yaml

from deltawire.common.meta.yaml_words import quoting

Tree = dict[str, Any]

_JSON_INDENT = 4
# libyaml's, six times as fast, where PyYAML was built with it.
_Dumper: Any = quoting(getattr(yaml, "CSafeDumper", yaml.SafeDumper))
_encode = msgspec.json.Encoder(order="sorted").encode


def list_of(objects: Iterable[Tree]) -> Tree:
    """The List that holds all of ``objects``."""
    return {"apiVersion": "v1", "items": list(objects), "kind": "List", "metadata": {"resourceVersion": ""}}


def json_lines(objects: Iterable[Tree], *, is_one: bool) -> Iterator[str]:
    """A document of JSON; each text is one or more whole lines."""
    if is_one:
        yield _json(next(iter(objects)))
        return
    head, tail = _json(list_of(())).split("[]")
    deeper = "\n" + " " * 2 * _JSON_INDENT
    held = ""
    for obj in objects:
        yield held + "," if held else head + "["
        held = deeper[1:] + _json(obj).replace("\n", deeper)
    if held:
        yield held
        yield " " * _JSON_INDENT + "]" + tail
    else:
        yield f"{head}[]{tail}"


def yaml_lines(objects: Iterable[Tree], *, is_one: bool) -> Iterator[str]:
    """A document of YAML, as `json_lines`."""
    if is_one:
        yield _yaml(next(iter(objects)))
        return
    head, tail = _yaml(list_of(())).split(" []\n")
    is_empty = True
    for obj in objects:
        if is_empty:
            yield head
            is_empty = False
        yield _yaml([obj])
    yield tail if not is_empty else f"{head} []\n{tail}"


def _json(value: Any) -> str:
    return msgspec.json.format(_encode(value), indent=_JSON_INDENT).decode()


def _yaml(value: Any) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=True, default_flow_style=False, allow_unicode=True)
    return text.rstrip("\n")
