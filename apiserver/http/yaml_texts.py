"""Answers in YAML."""

from typing import Any

import yaml

from deltawire.common.meta.yaml_words import quoting

_Quoting = quoting(yaml.SafeDumper)


class _Dumper(_Quoting):  # type: ignore[valid-type,misc]
    """As Go's library writes: texts that would read as something else in double quotes, several lines as a block."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = None
        if "\n" in text:
            style = "|"
        elif self.resolve(yaml.ScalarNode, text, (True, False)) != _TEXT:
            style = '"'
        node: yaml.ScalarNode = self.represent_scalar(_TEXT, text, style=style)
        return node


_TEXT = "tag:yaml.org,2002:str"
_Dumper.add_representer(str, _Dumper.represent_text)


def to_yaml(tree: Any) -> bytes:
    """Keys in order."""
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=True, default_flow_style=False)
    return text.encode()
