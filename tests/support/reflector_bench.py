"""A reflector's machine with a clock that the test moves by hand and no jitter, and events to feed it."""

from deltawire.common.errors import StatusError, TransportError
from deltawire.common.wire.messages.stream import Delta
from deltawire.reflector.action import Watch
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.list_plan import ServerTraits
from deltawire.reflector.machine import Machine
from deltawire.reflector.split import Batch, Page

EXPIRED = StatusError(410, "Expired", "too old resource version: 5 (1000)")
TOO_LARGE = StatusError(
    504,
    "Timeout",
    "Too large resource version: 99, current: 10",
    details={"causes": [{"reason": "ResourceVersionTooLarge"}]},
)
REFUSED = TransportError("connection refused by http://here", reason="refused")


def row(kind="A", name="web", version="11", namespace="default", uid="u1", obj=b"{}"):
    return Delta(kind, namespace, name, uid, version, obj)


def added(*versions):
    return Batch(deltas=[row(version=version) for version in versions], version=versions[-1])


def items(*names):
    return Batch(deltas=[row("R", name) for name in names], version="7")


def bookmark(version):
    return Batch(version=version, is_bookmark=True)


def marker(version, *names):
    deltas = [row("R", name) for name in names]
    return Batch(deltas=deltas, version=version, is_bookmark=True, is_marker=True)


def failed_event(error):
    return Batch(error=error)


def page(*names, version="20", token="", is_last=True):
    return Page([row("R", name) for name in names], version, token, is_last)


class Bench:
    """Feeds one machine and keeps the time; every call returns the actions."""

    def __init__(self, *, streaming=True):
        self.now_s = 1000.0
        self.traits = ServerTraits(has_streaming_lists=streaming)
        self.machine = Machine(Backoff(random=lambda: 0.0), self.traits, lambda: 0.5)

    def start(self, resume="", floor="", generation=1):
        return self.machine.start(self.now_s, resume, floor, generation)

    def batch(self, batch):
        return self.machine.batch(self.now_s, batch)

    def page(self, page):
        return self.machine.page(self.now_s, page)

    def opened(self):
        return self.machine.opened(self.now_s)

    def closed(self, after_s=60.0):
        self.now_s += after_s
        return self.machine.closed(self.now_s)

    def failed(self, error, after_s=0.0):
        self.now_s += after_s
        return self.machine.failed(self.now_s, error)

    def later(self, seconds, silent_s=None, *, has_room=True):
        """Time passes; ``silent_s``: how long the reader has been waiting for bytes at the end of it."""
        self.now_s += seconds
        since_s = None if silent_s is None else self.now_s - silent_s
        return self.machine.tick(self.now_s, since_s, has_room=has_room)

    def watching(self, version="10"):
        """Started at ``version``, its watch accepted."""
        self.start(resume=version)
        self.opened()
        return self


def versions_of(actions):
    """What the one request among ``actions`` asks for: (class name, resourceVersion or None)."""
    [request] = [a for a in actions if hasattr(a, "params")]
    return type(request).__name__, request.params.get("resourceVersion")


def is_resume(actions, version):
    """True if all that is done is to watch from ``version``."""
    [request] = [a for a in actions if hasattr(a, "params")]
    return isinstance(request, Watch) and not request.is_list and request.params["resourceVersion"] == version
