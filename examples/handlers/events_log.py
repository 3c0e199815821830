"""The cluster's Events as JSON lines on stdout, for any collector of logs: each once, also over restarts."""

import json

from deltawire import Handler

handler = Handler("events-log", delivery="every")
FIELDS = ("type", "reason", "message", "count", "firstTimestamp", "lastTimestamp", "eventTime")


@handler.on_add("events")
@handler.on_update("events", old=False)
def happened(obj, event):
    about = obj.get("involvedObject") or {}
    line = {name: obj[name] for name in FIELDS if obj.get(name) is not None}
    line["object"] = f"{about.get('kind')}/{about.get('namespace', '')}/{about.get('name')}"
    line["source"] = obj.get("reportingComponent") or (obj.get("source") or {}).get("component")
    print(json.dumps(line), flush=True)
