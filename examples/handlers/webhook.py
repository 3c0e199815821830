"""Every change of a resource to a webhook: signed, in batches, tried again until it is taken.

WEBHOOK is the address, SECRET the key of the signature (X-Signature: sha256=…), RESOURCE what is watched.
A batch is posted when BATCH events wait or the oldest is a second old. An event is acknowledged when its batch was
taken, so nothing is lost when this process is killed; its id (uid and version) is the same when it comes again. A batch
that is refused is posted event by event, so that only those become dead letters that are refused alone.
"""

import asyncio
import hashlib
import hmac
import json
import os

import aiohttp

from deltawire import Dead, Handler

URL, SECRET = os.environ.get("WEBHOOK", "http://127.0.0.1:8000/"), os.environ.get("SECRET", "")
RESOURCE, BATCH, WAIT_S = os.environ.get("RESOURCE", "deployments.apps"), 50, 1.0
handler = Handler("webhook", delivery="every", workers=BATCH)


class Batcher:
    """Events that wait for a post. Used in one event loop."""

    def __init__(self):
        self._waiting = []
        self._timer = None

    async def send(self, event):
        """Returns when a post with this event was taken; raises what the post raised."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((event, done))
        if len(self._waiting) >= BATCH:
            await self._flush()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._later())
        await done

    async def _later(self):
        await asyncio.sleep(WAIT_S)
        self._timer = None
        await self._flush()

    async def _flush(self):
        batch, self._waiting = self._waiting, []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._settle(batch)

    async def _settle(self, batch):
        outcome = None
        try:
            await post([event for event, _ in batch])
        except Exception as error:
            if isinstance(error, Dead) and len(batch) > 1:
                for one in batch:
                    await self._settle([one])
                return
            outcome = error
        for _, done in batch:
            if not done.done():
                done.set_exception(outcome) if outcome else done.set_result(None)


async def post(events):
    body = json.dumps({"events": events}).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Signature": f"sha256={signature}"}
    options = {"data": body, "headers": headers, "timeout": aiohttp.ClientTimeout(total=10)}
    async with aiohttp.ClientSession() as session, session.post(URL, **options) as answer:
        # 429 and 5xx pass by themselves. Another 4xx does not: these events are dead letters.
        if 400 <= answer.status < 500 and answer.status != 429:
            raise Dead(f"the webhook says {answer.status}")
        answer.raise_for_status()


batcher = Batcher()


@handler.on_add(RESOURCE)
@handler.on_delete(RESOURCE)
async def changed(obj, event):
    number = f"{event.uid}/{event.resource_version}"
    await batcher.send({"id": number, "type": event.kind, "key": event.key, "object": obj})


@handler.on_update(RESOURCE, old=False)
async def updated(obj, event):
    await changed(obj, event)
