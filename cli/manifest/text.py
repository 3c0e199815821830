"""Objects as YAML in which files in ConfigMaps can be read."""

from typing import Any

import yaml

from deltawire.common.meta.yaml_words import quoting

_Base: Any = quoting(yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc]  # PyYAML's class, made at run time
    """Text of several lines as lines."""


def _text(dumper: Any, text: str) -> Any:
    if "\n" in text:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    return _Base.yaml_representers[str](dumper, text)


_Dumper.add_representer(str, _text)


def document(obj: dict[str, Any]) -> str:
    """One object, its keys in their own order."""
    return "---\n" + yaml.dump(obj, Dumper=_Dumper, sort_keys=False, width=120)


def config_text(config: Any) -> str:
    """A config file."""
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, width=120)
