"""The plug-in of `deltawire up --embedded` where the examples folder is not on disk: prints what changes.

Not here: the examples that a checkout has (examples/).
"""

import sys
from typing import Any

from deltawire import Handler

handler = Handler("printer")


@handler.on_add("deployments.apps")
def added(obj: dict[str, Any]) -> None:
    _say("+", obj)


@handler.on_update("deployments.apps")
def updated(old: dict[str, Any] | None, new: dict[str, Any]) -> None:
    _say("~", new)


@handler.on_delete("deployments.apps")
def deleted(obj: dict[str, Any]) -> None:
    _say("-", obj)


def _say(sign: str, obj: dict[str, Any]) -> None:
    metadata = obj["metadata"]
    sys.stdout.write(f"{sign} {metadata.get('namespace', '')}/{metadata['name']}\n")
    sys.stdout.flush()
