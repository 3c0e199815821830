"""An API server that a test plays for an informer in this process, and a handler that records its calls."""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightkube.models.core_v1 import Pod

from deltawire.client.rest.decode import decoder_of
from deltawire.common.errors import StatusError, TransportError
from deltawire.common.meta.resources import ResourceType, find
from deltawire.fifo.deltas import Tombstone
from deltawire.local.informer import SharedIndexInformer
from deltawire.reflector.action import Params
from tests.support.patience import wait_until

PATIENCE_S = 30.0


def until(done: Callable[[], Any], what: object = "it", patience_s: float = PATIENCE_S) -> Any:
    return wait_until(done, what, seconds=patience_s, every_s=0.002)


class PlayedStream:
    """An open watch: lines that were put, b"" when it ended, an exception where one was put."""

    def __init__(self) -> None:
        self._chunks: queue.Queue[bytes | Exception] = queue.Queue()

    def put(self, event_type: str, obj: Any) -> None:
        line = json.dumps({"type": event_type, "object": obj}, separators=(",", ":"))
        self._chunks.put(line.encode() + b"\n")

    def fail(self, error: Exception) -> None:
        self._chunks.put(error)

    def read(self) -> bytes:
        chunk = self._chunks.get()
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def is_ready(self) -> bool:
        return not self._chunks.empty()

    def is_empty(self) -> bool:
        return self._chunks.empty()

    def set_read_timeout(self, seconds: float | None) -> bool:
        return True

    def close(self) -> None:
        self._chunks.put(b"")


class PlayedServer:
    """client-go's FakeControllerSource: each change has the next version; a watch from a version replays what came
    after it. ``is_seen`` False: the change is made, and no watch ever tells of it. ``failures`` are raised by the
    next lists and watches, one each."""

    def __init__(self, object_type: Any = Pod, *, has_streaming_lists: bool = True) -> None:
        self.decode = decoder_of(object_type)
        self.has_streaming_lists = has_streaming_lists
        self.failures: list[Exception] = []
        self.requests: list[tuple[str, Params]] = []
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._lock = threading.RLock()
        self._version = 100
        self._oldest = 100
        self._log: list[tuple[int, str, dict[str, Any]]] = []
        self._streams: list[PlayedStream] = []
        self._uids = 0

    # -- the test's side

    def add(self, name: str, namespace: str = "default", *, is_seen: bool = True, **fields: Any) -> None:
        with self._lock:
            self._uids += 1
            metadata = {"name": name, "namespace": namespace, "uid": f"uid-{self._uids}", **fields}
            obj = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
            self._change("ADDED", (namespace, name), obj, is_seen)

    def modify(self, name: str, namespace: str = "default", *, is_seen: bool = True, **fields: Any) -> None:
        with self._lock:
            obj = json.loads(json.dumps(self.objects[namespace, name]))
            obj["metadata"] |= fields
            self._change("MODIFIED", (namespace, name), obj, is_seen)

    def delete(self, name: str, namespace: str = "default", *, is_seen: bool = True) -> None:
        with self._lock:
            obj = json.loads(json.dumps(self.objects[namespace, name]))
            self._change("DELETED", (namespace, name), obj, is_seen)

    def send(self, event_type: str, obj: Any) -> None:
        """Any event, to all open watches."""
        with self._lock:
            for stream in self._streams:
                stream.put(event_type, obj)

    def cut(self) -> None:
        """Break all open watches off."""
        with self._lock:
            streams, self._streams = self._streams, []
        for stream in streams:
            stream.fail(TransportError("cut", reason="reset"))

    def lose_history(self) -> None:
        """Forget all changes and end the watches with 410."""
        with self._lock:
            self._oldest = self._version
            self._log.clear()
            streams, self._streams = self._streams, []
        for stream in streams:
            stream.put("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})

    @property
    def versions(self) -> dict[str, str]:
        """Key → version of what there is."""
        with self._lock:
            return {
                f"{ns}/{name}": o["metadata"]["resourceVersion"] for (ns, name), o in self.objects.items()
            }

    @property
    def open_watches(self) -> int:
        with self._lock:
            return len(self._streams)

    def count(self, verb: str) -> int:
        return [asked for asked, _ in self.requests].count(verb)

    def _change(self, event_type: str, key: tuple[str, str], obj: dict[str, Any], is_seen: bool) -> None:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        if event_type == "DELETED":
            del self.objects[key]
        else:
            self.objects[key] = obj
        if is_seen:
            self._log.append((self._version, event_type, obj))
            for stream in self._streams:
                stream.put(event_type, obj)

    # -- the informer's side

    def resource(self) -> ResourceType:
        found = find("pods")
        assert found is not None
        return found

    def connection_ended(self, is_dead: bool) -> None:
        """The rig has no pool."""

    def check_cluster(self) -> None:
        pass

    def list(self, params: Params) -> bytes:
        with self._lock:
            self.requests.append(("list", params))
            if self.failures:
                raise self.failures.pop(0)
            metadata = {"resourceVersion": str(self._version)}
            return json.dumps(
                {"kind": "PodList", "metadata": metadata, "items": list(self.objects.values())}
            ).encode()

    def watch(self, params: Params) -> PlayedStream:
        with self._lock:
            is_list = "sendInitialEvents" in params
            self.requests.append(("streaming list" if is_list else "watch", params))
            if self.failures:
                raise self.failures.pop(0)
            stream = PlayedStream()
            if is_list:
                if not self.has_streaming_lists:
                    raise StatusError(422, "Invalid", "sendInitialEvents is forbidden")
                for obj in self.objects.values():
                    stream.put("ADDED", obj)
                annotations = {"k8s.io/initial-events-end": "true"}
                metadata = {"resourceVersion": str(self._version), "annotations": annotations}
                stream.put("BOOKMARK", {"kind": "Pod", "metadata": metadata})
            else:
                since = int(params["resourceVersion"])
                if since < self._oldest:
                    raise StatusError(410, "Expired", "too old resource version")
                for version, event_type, obj in self._log:
                    if version > since:
                        stream.put(event_type, obj)
            self._streams.append(stream)
            return stream


class Recorder:
    """A handler that records its calls; ``told`` are (what, key, version, uid)."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.events: list[tuple[Any, ...]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.cache: dict[str, Any] = {}
        self.faults: list[str] = []  # what broke the chain of old and new

    def on_add(self, obj: Any, is_in_initial_list: bool) -> None:
        self.gate.wait(PATIENCE_S)
        key, version = name_of(obj)
        if key in self.cache:
            self.faults.append(f"{key} was added twice")
        self.cache[key] = obj
        self.told.append(("add", key, version))
        self.events.append(("add", obj, is_in_initial_list))

    def on_update(self, old: Any, new: Any) -> None:
        self.gate.wait(PATIENCE_S)
        key, version = name_of(new)
        before = self.cache.get(key)
        # A list that was made again may have put an equal object in its place.
        if before is None or name_of(before) != name_of(old):
            self.faults.append(f"{key}: the old one is not the one before")
        self.cache[key] = new
        self.told.append(("update", key, version))
        self.events.append(("update", old, new))

    def on_delete(self, obj: Any) -> None:
        self.gate.wait(PATIENCE_S)
        key = obj.key if isinstance(obj, Tombstone) else name_of(obj)[0]
        if self.cache.pop(key, None) is None:
            self.faults.append(f"{key} was deleted and never added")
        self.told.append(("delete", key, "unknown" if isinstance(obj, Tombstone) else name_of(obj)[1]))
        self.events.append(("delete", obj))

    @property
    def versions(self) -> dict[str, str]:
        return {key: name_of(obj)[1] for key, obj in dict(self.cache).items()}


def name_of(obj: Any) -> tuple[str, str]:
    metadata = obj["metadata"] if isinstance(obj, dict) else obj.metadata
    if isinstance(metadata, dict):
        return f"{metadata['namespace']}/{metadata['name']}", metadata["resourceVersion"]
    return f"{metadata.namespace}/{metadata.name}", metadata.resourceVersion


def stored(informer: SharedIndexInformer[Any]) -> dict[str, str]:
    """Key → version of what the cache has."""
    return dict(name_of(obj) for obj in informer.get_indexer().list())


@contextmanager
def running(informer: SharedIndexInformer[Any]) -> Iterator[None]:
    """Started and synced; all its threads have ended afterwards."""
    informer.start()
    try:
        assert informer.wait_for_cache_sync(timeout_s=PATIENCE_S), informer.status()
        yield
    finally:
        informer.stop()
        assert informer.join(PATIENCE_S), "a thread of the informer goes on"
