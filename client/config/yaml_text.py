"""YAML and JSON as Go's Kubernetes clients read it, so that a file means here what it means to kubectl.

Of several documents the first counts. Which plain words are booleans or numbers is a table of its own
(`common.meta.yaml_words`); keys that are none become text; an unknown tag is left out.
"""

from typing import Any

import yaml

from deltawire.common.meta.yaml_words import BOOL, INTEGER, NUMBER, TRUE, quoting, tag_of

# A few lines of aliases of aliases stand for more than a memory holds.
NODES_MAX = 1_000_000

_Base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Dumper = quoting(yaml.SafeDumper)


class Loader(_Base):  # type: ignore[misc]  # one of two classes with the same interface
    """PyYAML's safe loader with the table of above."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return tag_of(value)
        return super().resolve(kind, value, implicit)


def _bool(loader: Any, node: yaml.ScalarNode) -> bool:
    return node.value in TRUE


def _number(loader: Any, node: yaml.ScalarNode) -> int | float:
    text = node.value.replace("_", "")
    if not INTEGER.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _unknown(loader: Any, suffix: str, node: yaml.Node) -> Any:
    """The value as if it had no tag."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)


Loader.add_constructor(BOOL, _bool)
Loader.add_constructor(NUMBER, _number)
Loader.add_multi_constructor("!", _unknown)


def load(data: bytes) -> Any:
    """The first document; None where there is none. Raises ValueError, whose text is one line and quotes nothing."""
    try:
        loader = Loader(data)
        try:
            return _Plain().of(loader.get_data() if loader.check_data() else None)
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"not YAML in line {mark.line + 1}" if mark else "not YAML") from None


def dump(content: Any) -> str:
    """``content`` as YAML that reads as the same everywhere."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Plain:
    """Makes the tree that JSON would have: keys are text, aliases are copies. Raises ValueError beyond `NODES_MAX`."""

    def __init__(self) -> None:
        self._nodes = 0

    def of(self, found: Any) -> Any:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise ValueError("too many values")
        if isinstance(found, dict):
            return {_key(key): self.of(value) for key, value in found.items()}
        return [self.of(item) for item in found] if isinstance(found, list) else found


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(key)
    if not isinstance(key, str):
        raise ValueError("a key that is no text")
    return key
