"""Changes are posted in batches, signed, and again where the webhook was down."""

import asyncio
import hashlib
import hmac
import json

import pytest
import webhook

from deltawire.handlers.testing import Harness


def deployment(name):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "ns"}}


@pytest.fixture
def harness(endpoint, monkeypatch):
    monkeypatch.setattr(webhook, "URL", endpoint.url)
    monkeypatch.setattr(webhook, "SECRET", "key")
    monkeypatch.setattr(webhook, "WAIT_S", 0.01)
    monkeypatch.setattr(webhook, "batcher", webhook.Batcher())
    made = Harness(webhook.handler)
    yield made
    made.close()


def test_a_change_is_posted_and_again_until_it_is_taken(harness, endpoint):
    endpoint.codes = [503, 429]
    assert [h.verdict for h in harness.apply(deployment("web"))] == ["retry"]
    assert [h.verdict for h in harness.advance(10)] == ["retry", "done"]
    bodies = {line.partition("{")[2] for line in endpoint.asked}
    assert (len(endpoint.asked), len(bodies)) == (3, 1), "the same event, byte for byte"


def test_what_the_webhook_refuses_is_a_dead_letter(harness, endpoint):
    endpoint.codes = [403]
    assert [(h.verdict, h.error) for h in harness.apply(deployment("web"))] == [("dead", "the webhook says 403")]


def test_events_that_come_together_are_one_signed_post(monkeypatch):
    posted = []

    async def take(events):
        posted.append(events)

    async def send_three():
        batcher = webhook.Batcher()
        await asyncio.gather(*(batcher.send(name) for name in "abc"))

    monkeypatch.setattr(webhook, "WAIT_S", 0.01)
    monkeypatch.setattr(webhook, "post", take)
    asyncio.run(send_three())
    assert posted == [["a", "b", "c"]]


def test_of_a_batch_that_is_refused_only_what_is_refused_alone_is_dead(monkeypatch):
    async def refuse_b(events):
        if "b" in events:
            raise webhook.Dead("no b here")

    async def send_three():
        batcher = webhook.Batcher()
        return await asyncio.gather(*(batcher.send(name) for name in "abc"), return_exceptions=True)

    monkeypatch.setattr(webhook, "WAIT_S", 0.01)
    monkeypatch.setattr(webhook, "post", refuse_b)
    assert [type(outcome).__name__ for outcome in asyncio.run(send_three())] == ["NoneType", "Dead", "NoneType"]


def test_the_signature_is_of_the_body(harness, endpoint):
    harness.apply(deployment("web"))
    [line] = endpoint.asked
    body = line[line.index("{") :]
    assert json.loads(body)["events"][0]["key"] == "ns/web"
    expected = hmac.new(b"key", body.encode(), hashlib.sha256).hexdigest()
    assert endpoint.headers[0]["X-Signature"] == f"sha256={expected}"
