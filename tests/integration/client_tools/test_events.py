"""Events as they arrive at the embedded API server."""

from deltawire.client.rest.client import RESTClient
from deltawire.client.tools.events.recorder import EventBroadcaster
from deltawire.client.tools.events.sink import EVENTS, ApiSink
from deltawire.common.meta.resources import ResourceType, find

MAPS = find("configmaps")
assert isinstance(MAPS, ResourceType)


def test_an_event_that_repeats_is_one_object_with_a_count(client: RESTClient) -> None:
    about = client.of(MAPS, "default").create({"metadata": {"name": "a"}}).into()
    about |= {"apiVersion": "v1", "kind": "ConfigMap"}
    broadcaster = EventBroadcaster()
    writer = broadcaster.start_recording_to_sink(ApiSink(client))
    recorder = broadcaster.new_recorder("ctl", "here")
    for _ in range(3):
        recorder.event(about, "Warning", "Broken", "it is broken")
    recorder.event(about, "Normal", "Mended", "it is whole")
    assert broadcaster.shutdown(20)
    assert (writer.written, writer.failed) == (4, 0)
    selector = f"involvedObject.uid={about['metadata']['uid']}"
    items = client.get().resource(EVENTS).namespace("default").field_selector(selector).do().into()["items"]
    assert sorted((item["reason"], item["count"], item["type"]) for item in items) == [
        ("Broken", 3, "Warning"),
        ("Mended", 1, "Normal"),
    ]
