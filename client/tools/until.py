"""Waits until conditions on objects hold."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from deltawire.client.rest.resource_client import ResourceClient
from deltawire.client.rest.watch import WatchEvent
from deltawire.client.tools.list_then_watch import ListThenWatch
from deltawire.client.tools.retry_watcher import OpenWatch, RetryWatcher
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError, WaitError

T = TypeVar("T")
Condition = Callable[[WatchEvent[T]], bool]


def until_without_retry(
    watch: OpenWatch[T],
    *conditions: Condition[T],
    timeout_s: float | None = None,
    clock: Clock | None = None,
) -> WatchEvent[T]:
    """Wait until all ``conditions`` were met, one after another; return the event that met the last.

    The event that met one is tried on the next first. The watch is stopped at the end. Raises WaitError
    (``timeout``, or ``closed`` where the watch ended before), and what the watch or a condition raises.
    """
    if not conditions:
        raise ConfigError("there is no condition to wait for")
    is_late, is_done = threading.Event(), threading.Event()
    timer: threading.Thread | None = None
    if timeout_s is not None:
        timer = threading.Thread(
            target=_stop_late, args=(watch, timeout_s, clock or SystemClock(), is_done, is_late), daemon=True
        )
        timer.start()
    left = list(conditions)
    try:
        for event in watch:
            while left and left[0](event):
                left.pop(0)
            if not left:
                return event
    finally:
        is_done.set()
        watch.stop()
        if timer is not None:
            timer.join()
    met = f"{len(conditions) - len(left)} of {len(conditions)} conditions were met"
    if is_late.is_set():
        raise WaitError(f"not within {timeout_s:g} s: {met}", reason="timeout")
    raise WaitError(f"the watch ended before: {met}", reason="closed")


def until(
    open_watch: Callable[[str], OpenWatch[T]],
    resource_version: str,
    *conditions: Condition[T],
    timeout_s: float | None = None,
    clock: Clock | None = None,
) -> WatchEvent[T]:
    """As `until_without_retry`, on a watch from ``resource_version`` that is opened again when it ends."""
    watcher = RetryWatcher(open_watch, resource_version, clock=clock)
    return until_without_retry(watcher, *conditions, timeout_s=timeout_s, clock=clock)


def until_with_sync(
    client: ResourceClient,
    *conditions: Condition[Any],
    label_selector: str = "",
    field_selector: str = "",
    known: Iterable[dict[str, Any]] = (),
    timeout_s: float | None = None,
    clock: Clock | None = None,
) -> WatchEvent[Any]:
    """As `until`, from what there is now: each object that exists comes first, as ADDED.

    As an informer it survives errors of the server (`ListThenWatch`): it lists again, and what changed or was deleted
    since comes as MODIFIED and DELETED. ``known``: objects that the caller has seen; what changed since then comes
    likewise, at the first list. Objects are dicts. The WaitError of a time-out names the last error; without
    ``timeout_s`` it waits for ever. Raises StatusError 400 and 422 for selectors that the server does not take.
    """
    selectors: dict[str, str | None] = {"labelSelector": label_selector, "fieldSelector": field_selector}
    watch = ListThenWatch(client, selectors, known=known, clock=clock)
    try:
        return until_without_retry(watch, *conditions, timeout_s=timeout_s, clock=clock)
    except WaitError as error:
        if watch.error is None:
            raise
        raise WaitError(f"{error.message}; {watch.error}", reason=error.reason) from watch.error


def _stop_late(
    watch: OpenWatch[Any], timeout_s: float, clock: Clock, is_done: threading.Event, is_late: threading.Event
) -> None:
    if not clock.sleep(timeout_s, is_done):
        is_late.set()
        watch.stop()
