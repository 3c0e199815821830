"""A config file's YAML as plain data, with ``on`` as a key and the text of environments as it is written."""

import re
from pathlib import Path
from typing import Any

import yaml

from deltawire.common.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, to which ``on`` is a key and not the truth (YAML 1.1 reads on, off, yes, no so)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false|True|False)$"), list("tfTF")
)


def read(data: bytes, path: Path) -> Any:
    """The document in ``data``, which is ``path``'s. Raises ConfigError with the line."""
    try:
        return _read(data)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        raise ConfigError(f"{path}{line} is not YAML: {getattr(error, 'problem', error)}") from None


def _read(data: bytes) -> Any:
    """The document as plain data. Raises YAMLError."""
    loader = _Loader(data)
    try:
        node = loader.get_single_node()
        _keep_text(node, ["handlers", "env"])
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _keep_text(node: yaml.Node | None, path: list[str]) -> None:
    """Let numbers and words such as true stay as they are written in the map at ``path``, through lists on the way."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _keep_text(item, path)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not path:
                if isinstance(value, yaml.ScalarNode) and value.tag != "tag:yaml.org,2002:null":
                    value.tag = "tag:yaml.org,2002:str"
            elif isinstance(key, yaml.ScalarNode) and key.value == path[0]:
                _keep_text(value, path[1:])
