"""Writes deltawire/values.schema.json: the schema of the config's file, and what the chart has besides.

Run it when the config's shape has changed: ``python deploy/helm/values_schema.py``.
"""

import json
from pathlib import Path
from typing import Any

from deltawire.cli.manifest.shape import HANDLER_CHARS_MAX, NAME_CHARS_MAX
from deltawire.cli.manifest.sizes import OBJECTS_MAX, RATE_MAX
from deltawire.cli.schema import config_schema

FILE = Path(__file__).with_name("deltawire") / "values.schema.json"
Tree = dict[str, Any]
TEXT: Tree = {"type": "string"}
BOOL: Tree = {"type": "boolean"}
ANY: Tree = {"type": "object"}
WORDS: Tree = {"type": "object", "additionalProperties": TEXT}
MAPS: Tree = {"type": "array", "items": ANY}


def fields(**properties: Tree) -> Tree:
    return {"type": "object", "properties": properties, "additionalProperties": False}


POD = fields(
    labels=WORDS, annotations=WORDS, nodeSelector=WORDS, tolerations=MAPS, affinity=ANY, priorityClassName=TEXT
)


def values_schema() -> str:
    """The file's text."""
    found = json.loads(config_schema())["$defs"]
    # All pods talk to the cluster that they run in.
    _config(found["Config"])
    _handler(found["HandlerProcess"])
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the chart deltawire",
        **fields(
            **{"global": ANY},
            fullnameOverride={
                "type": "string",
                "pattern": "^([a-z]([a-z0-9-]*[a-z0-9])?)?$",
                "maxLength": NAME_CHARS_MAX,
            },
            image=fields(
                repository={"type": "string", "minLength": 1},
                tag=TEXT,
                pullPolicy={"enum": ["", "Always", "IfNotPresent", "Never"]},
            ),
            pullSecrets={"type": "array", "items": TEXT},
            config={"$ref": "#/$defs/Config"},
            handlers={"type": "array", "items": {"$ref": "#/$defs/HandlerProcess"}},
            size=fields(
                objects={"type": "integer", "minimum": 1, "maximum": OBJECTS_MAX},
                bytes={"type": "integer", "minimum": 1},
                rate={"type": "number", "minimum": 0, "maximum": RATE_MAX},
            ),
            resources=ANY,
            handlerResources=ANY,
            volume=fields(size=TEXT, storageClass=TEXT),
            keys=fields(allowed=TEXT, allowedConfigMap=TEXT, secret=TEXT),
            rbac=fields(create=BOOL),
            networkPolicy=fields(enabled=BOOL),
            monitor=fields(enabled=BOOL, labels=WORDS),
            labels=WORDS,
            annotations=WORDS,
            pod=POD,
        ),
        "$defs": found,
    }
    return json.dumps(whole, indent=2) + "\n"


def _config(config: Tree) -> None:
    for name in ("handlers", "kubeconfigs"):
        del config["properties"][name]
    del config["required"]
    config["properties"]["clusters"]["maxProperties"] = 1
    config["description"] = "A config without its handlers."


def _handler(handler: Tree) -> None:
    of = handler["properties"]
    del of["clusters"]
    of["name"]["maxLength"] = HANDLER_CHARS_MAX
    of["writes"]["items"]["pattern"] = r"^(([a-z]+|\*)(,([a-z]+|\*))* )?[^ ]+$"
    of["true"] = of["on"] | {"description": "What YAML 1.1 makes of the key `on`."}
    of |= {"code": TEXT, "image": TEXT, "resources": ANY, "envFrom": MAPS, "keySecret": TEXT, "pod": POD}
    handler["anyOf"] = [{"required": ["on"]}, {"required": ["true"]}]
    handler["description"] = "A handler of the config, and what its Deployment has besides."


if __name__ == "__main__":
    FILE.write_text(values_schema())
