"""The RESTClient whose calls a `Fake` sees first."""

import copy
from dataclasses import replace
from typing import Any

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.fakes.actions import Action, action_of, encoded
from deltawire.client.fakes.fake import Fake
from deltawire.client.fakes.watch import FakeWatch
from deltawire.client.rest.call import Call
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.result import Result
from deltawire.client.rest.watch_stream import WatchStream

_JSON = {"Content-Type": "application/json"}


class FakeRESTClient(RESTClient):
    """For every client that is made of a RESTClient: typed, dynamic, metadata, scale, discovery.

    ``options`` are RESTClient's.
    """

    def __init__(self, config: ClientConfig, fake: Fake, **options: Any) -> None:
        super().__init__(config, **options)
        self.fake = fake

    def execute(self, call: Call) -> Result:
        action = action_of(call)
        asked = copy.deepcopy(action.object)
        answer = self.fake.meet(action)
        if answer is not None:
            return Result(201 if action.verb == "create" else 200, _JSON, encoded(answer))
        return super().execute(_changed(call, action, asked))

    def open_stream(self, call: Call) -> WatchStream:
        action = action_of(call)
        if action.verb == "watch":
            watch = self.fake.meet_watch(action)
        else:
            answer = self.fake.meet(action)
            watch = None if answer is None else _whole(encoded(answer))
        return super().open_stream(call) if watch is None else watch.open(call.read_timeout_s)


def _changed(call: Call, action: Action, asked: Any) -> Call:
    """The call with the body that reactors made of it."""
    if action.object == asked:
        return call
    return replace(call, body=None if action.object is None else encoded(action.object))


def _whole(answer: bytes) -> FakeWatch:
    stream = FakeWatch()
    if answer:
        stream.send(answer)
    stream.stop()
    return stream
