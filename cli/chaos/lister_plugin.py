"""A handler of a chaos run: writes down, for each key, what the event said and what the cache held then (P1)."""

import json
import os
import time

from deltawire.handlers.api import Context, Handler

RESOURCES = ("pods", "configmaps")
_out = os.open(os.environ.get("CHAOS_CALLS", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

handler = Handler("lister")


def _look(key: str, ctx: Context) -> None:
    event = ctx.event
    found = ctx.lister().get_key(key)
    meta = {} if found is None else found["metadata"]
    line = {
        "at": time.monotonic(),
        "type": event.kind,
        "resource": event.resource,
        "key": key,
        "uid": event.uid,
        "version": event.resource_version,
        "found_uid": meta.get("uid", ""),
        "found_version": meta.get("resourceVersion", ""),
    }
    os.write(_out, json.dumps(line).encode() + b"\n")


for _resource in RESOURCES:
    handler.reconcile(_resource)(_look)
