"""One handler's thread and what waits for it."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from deltawire.common.clock import Clock
from deltawire.local.notifications import Added, Notification, ResourceEventHandler, Updated

T = TypeVar("T")

log = logging.getLogger(__name__)

# Notifications that wait for one handler. At the bound its informer waits, too: the cache stands still and the
# watch is not read (client-go's buffer has no bound and grows until the process dies).
NOTIFICATIONS_MAX = 10_000
# A line of log about a handler that fails, or that holds up its informer, comes again after so long.
LOG_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class HandlerStatus:
    """``waiting`` notifications are not delivered yet; ``held_up``: how often the informer waited for them."""

    name: str
    is_synced: bool
    delivered: int
    failed: int
    waiting: int
    held_up: int
    error: str


class Listener(Generic[T]):
    """Delivers notifications one at a time, in order, in a thread of its own.

    `put` never waits: its caller calls `wait_for_room` first, without a lock. The initial adds of a late handler
    are put all at once, above the bound; they are references to the cache's objects.

    A call that raises is logged and counted, and the next one follows. If it was an initial add, the handler never
    counts as synced (docs/contracts.md, store and informer 12).
    """

    def __init__(
        self,
        handler: ResourceEventHandler[T],
        *,
        name: str,
        resync_s: float,
        notifications_max: int,
        is_upstream_synced: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.name = name
        self.resync_wanted_s = resync_s
        self.resync_s = resync_s
        self.is_syncing = True
        self._next_resync_s = clock.now_s() + resync_s
        self._handler = handler
        self._notifications_max = notifications_max
        self._is_upstream_synced = is_upstream_synced
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[Notification[T]] = deque()
        self._initial_left = 0
        self._is_closed = False
        self._is_unbounded = False
        self._thread: threading.Thread | None = None
        self._delivered = self._failed = self._held_up = 0
        self._error = ""
        self._logged_at_s = float("-inf")

    # -- the informer's side

    def put(self, notification: Notification[T]) -> None:
        with self._changed:
            if self._is_closed:
                return
            # Counted before the handler can see it, so that it cannot be synced too early.
            if isinstance(notification, Added) and notification.is_in_initial_list:
                self._initial_left += 1
            self._waiting.append(notification)
            self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Returns once fewer than the bound wait, or the listener is closed or released."""
        with self._changed:
            if not self._is_full_locked():
                return
            self._held_up += 1
            self._log_locked(f"is slow: {len(self._waiting)} notifications wait, and the informer for it")
            while self._is_full_locked():
                self._clock.wait_until(self._changed, None)

    def release(self) -> None:
        """The informer stops: `wait_for_room` returns at once from now on."""
        with self._changed:
            self._is_unbounded = True
            self._changed.notify_all()

    def is_resync_due(self, now_s: float) -> bool:
        return self.resync_s > 0 and now_s >= self._next_resync_s

    def resynced(self, now_s: float) -> None:
        self._next_resync_s = now_s + self.resync_s

    # -- its life

    def start(self) -> None:
        with self._changed:
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name=f"handler {self.name}", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread after the call under way; what waits is dropped."""
        with self._changed:
            self._is_closed = True
            if self._waiting:
                log.debug("handler %s ends with %d notifications undelivered", self.name, len(self._waiting))
            self._waiting.clear()
            self._changed.notify_all()

    def join(self, timeout_s: float | None = None) -> bool:
        """True if the thread has ended. At once where there is none, and in the handler's own thread (False)."""
        thread = self._thread
        if thread is None:
            return True
        if thread is threading.current_thread():
            return False
        thread.join(timeout_s)
        return not thread.is_alive()

    # -- for users

    def has_synced(self) -> bool:
        """True once every call for the first list has returned."""
        return self._is_upstream_synced() and self._initial_left == 0

    def status(self) -> HandlerStatus:
        synced = self.has_synced()
        with self._changed:
            return HandlerStatus(
                self.name,
                synced,
                self._delivered,
                self._failed,
                len(self._waiting),
                self._held_up,
                self._error,
            )

    # -- in the thread

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_closed:
                    self._clock.wait_until(self._changed, None)
                if self._is_closed:
                    return
                notification = self._waiting.popleft()
                if len(self._waiting) == self._notifications_max - 1:
                    self._changed.notify_all()
            try:
                self._call(notification)
            except (Exception, SystemExit) as error:
                self._note_failure(error)
                continue
            with self._changed:
                self._delivered += 1
                if isinstance(notification, Added) and notification.is_in_initial_list:
                    self._initial_left -= 1

    def _call(self, notification: Notification[T]) -> None:
        if isinstance(notification, Added):
            self._handler.on_add(notification.obj, notification.is_in_initial_list)
        elif isinstance(notification, Updated):
            self._handler.on_update(notification.old, notification.new)
        else:
            self._handler.on_delete(notification.obj)

    def _note_failure(self, error: BaseException) -> None:
        with self._changed:
            self._failed += 1
            self._error = f"{type(error).__name__}: {error}"[:500]
            self._log_locked(f"raised ({self._failed} failed so far); the next event follows", error)

    def _is_full_locked(self) -> bool:
        is_bounded = not (self._is_closed or self._is_unbounded)
        return is_bounded and len(self._waiting) >= self._notifications_max

    def _log_locked(self, what: str, error: BaseException | None = None) -> None:
        now_s = self._clock.now_s()
        if now_s - self._logged_at_s >= LOG_EVERY_S:
            self._logged_at_s = now_s
            log.error("handler %s %s", self.name, what, exc_info=error)
