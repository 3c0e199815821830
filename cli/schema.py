"""The JSON schema of the config file: what docs/config.schema.json holds."""

import json

import msgspec

from deltawire.common.config.schema import Config


def config_schema() -> str:
    """The schema as text, generated from the structs that read the config."""
    return json.dumps(msgspec.json.schema(Config), indent=2) + "\n"
