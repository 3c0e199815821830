"""The JSON schema of the config file: what docs/config.schema.json holds."""

import json

import msgspec

from deltawire.common.config.schema import Config


def config_schema() -> str:
    """The schema as text, generated from the structs that read the config."""
    found = msgspec.json.schema(Config)
    # Only where there is a choice the kind must be said.
    del found["$defs"]["NatsServers"]["required"]
    return json.dumps(found, indent=2) + "\n"
