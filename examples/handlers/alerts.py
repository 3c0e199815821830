"""A pod that crashes again and again, or ran out of memory, is posted to a webhook: once, and once when it is well."""

import os
from datetime import UTC, datetime

import aiohttp

from deltawire import Dead, Handler, Requeue

URL, MARK = os.environ.get("WEBHOOK", "http://alerts.internal/post"), "alerts.example.com/incident"
handler = Handler("alerts")


async def post(text, key):
    async with aiohttp.ClientSession() as session, session.post(URL, json={"text": text, "key": key}) as answer:
        if 400 <= answer.status < 500 and answer.status != 429:
            raise Dead(f"the webhook says {answer.status}")
        answer.raise_for_status()


@handler.reconcile("pods")
async def watch(key, ctx):
    if (pod := ctx.object) is None:
        return None
    meta, status = pod["metadata"], pod.get("status", {})
    states = [s.get("reason") for c in status.get("containerStatuses", ()) for s in c["state"].values()]
    reason = next((r for r in states if r in ("CrashLoopBackOff", "OOMKilled")), None)
    incident = (meta.get("annotations") or {}).get(MARK)
    ready = {c["type"]: c for c in status.get("conditions", ())}.get("Ready", {})
    if reason and not incident:
        await post(f"{key}: {reason}", f"{meta['uid']}/{meta['resourceVersion']}")
        await ctx.patch({"metadata": {"annotations": {MARK: meta["resourceVersion"]}}})
    elif incident and not reason and ready.get("status") == "True":
        well_s = (datetime.now(UTC) - datetime.fromisoformat(ready["lastTransitionTime"])).total_seconds()
        if well_s < 300:
            return Requeue(300 - well_s)
        await post(f"{key}: resolved", f"{meta['uid']}/{incident}/resolved")
        await ctx.patch({"metadata": {"annotations": {MARK: None}}})
