"""An Event is a line, and a line again when it is counted up."""

import json

from events_log import handler

from deltawire.handlers.testing import Harness


def test_an_event_is_a_line_and_again_when_it_repeats(capsys):
    harness = Harness(handler)
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "ns", "resourceVersion": "1"},
        "involvedObject": {"kind": "Pod", "namespace": "ns", "name": "a"}, "type": "Warning", "reason": "BackOff",
        "message": "again", "count": 1, "source": {"component": "kubelet"},
    }  # fmt: skip
    harness.apply(event)
    harness.apply({**event, "count": 2, "metadata": {**event["metadata"], "resourceVersion": "2"}})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["object"], line["count"], line["source"]) for line in lines] == [
        ("Pod/ns/a", 1, "kubelet"), ("Pod/ns/a", 2, "kubelet"),
    ]  # fmt: skip
