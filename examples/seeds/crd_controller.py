"""A controller for a custom resource: an informer of dicts, a queue of keys, and workers that look at the cache.

A handler only adds a key to the queue. So ten changes of an object in a row are worked on once, never by two workers at
the same time, and what fails is tried again, later and later.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from connection import follow

from deltawire import ClientConfig, DeletedFinalStateUnknown, DynamicClient, DynamicSharedInformerFactory
from deltawire.apiserver.server import ApiServer
from deltawire.client.schema import GroupVersionResource
from deltawire.client.tools.objects import key as key_of
from deltawire.client.tools.objects import split_key
from deltawire.common.errors import StatusError
from deltawire.factory import GenericInformer
from deltawire.handlers.workqueue import QueueShutDown, RateLimitingQueue

WIDGETS = GroupVersionResource(group="example.com", version="v1", resource="widgets")
WORKERS = 2
TRIES_MAX = 5


class Controller:
    """Reports the size of each widget in its status."""

    def __init__(self, client: DynamicClient, widgets: GenericInformer[Any]) -> None:
        self._client = client.resource(WIDGETS)
        self._lister = widgets.lister()
        self._queue: RateLimitingQueue[str] = RateLimitingQueue()
        widgets.informer().add_event_handler(
            on_add=self._enqueue, on_update=lambda old, new: self._enqueue(new), on_delete=self._enqueue
        )

    def run(self, stop: threading.Event) -> None:
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="worker") as workers:
            for _ in range(WORKERS):
                workers.submit(self._work)
            stop.wait()
            self._queue.shut_down()

    def _enqueue(self, widget: Any) -> None:
        self._queue.add(widget.key if isinstance(widget, DeletedFinalStateUnknown) else key_of(widget))

    def _work(self) -> None:
        while True:
            try:
                key = self._queue.get()
            except QueueShutDown:
                return
            try:
                self._reconcile(key)
            except Exception as error:
                if self._queue.num_requeues(key) < TRIES_MAX:
                    self._queue.add_rate_limited(key)
                else:
                    print(f"{key} is given up: {error}", flush=True)
                    self._queue.forget(key)
            else:
                self._queue.forget(key)
            finally:
                self._queue.done(key)

    def _reconcile(self, key: str) -> None:
        namespace, name = split_key(key)
        try:
            widget = self._lister.in_namespace(namespace).get(name)
        except StatusError as error:
            if not error.is_not_found:
                raise
            print(f"{key} is gone", flush=True)
            return
        size = widget["spec"]["size"]
        if widget.get("status", {}).get("size") == size:
            print(f"{key} is as it should be", flush=True)
            return
        # What a lister returns is shared with everybody: it is copied, never changed.
        wanted = {**widget, "status": {"size": size}}
        self._client.namespace(namespace).update_status(wanted)
        print(f"{key} has size {size}", flush=True)


def crd_controller(config: ClientConfig, stop: threading.Event) -> None:
    client = DynamicClient.from_config(config)
    factory = DynamicSharedInformerFactory(client, resync_s=60)
    controller = Controller(client, factory.for_resource(WIDGETS))
    factory.start(stop)
    factory.wait_for_cache_sync(stop)
    controller.run(stop)
    factory.shutdown()
    client.close()


def define_widgets(server: ApiServer) -> None:
    """Their definition, and two of them."""
    properties = {
        "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"size": {"type": "integer"}}},
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    server.create(
        "customresourcedefinitions.apiextensions.k8s.io",
        {"metadata": {"name": "widgets.example.com"}, "spec": spec},
    )
    for name, size in (("large", 30), ("small", 3)):
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}}
        server.create("widgets.example.com", {**widget, "spec": {"size": size}}, "default")


if __name__ == "__main__":
    follow(crd_controller, "Keep the status of widgets.", prepare=define_widgets)
