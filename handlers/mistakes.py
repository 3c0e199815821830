"""What authors write who know other libraries, and what it is called here.

Not here: finding the mistake (``api``, ``loader``).
"""

import difflib

from deltawire.common.meta import resources

ARGUMENTS = {
    "retries": "attempts_max",
    "max_retries": "attempts_max",
    "attempts": "attempts_max",
    "timeout": "deadline_s",
    "deadline": "deadline_s",
    "resync": "resync_s",
    "resync_period": "resync_s",
    "interval": "resync_s",
    "backoff": "backoff_s",
    "concurrency": "workers",
    "max_concurrent_reconciles": "workers",
    "threads": "workers",
    "mode": "delivery",
    "rate": "rate_per_s",
    "qps": "rate_per_s",
    "rate_limit": "rate_per_s",
    "rate_limiter": "rate_per_s",
    "index": "indexes",
}
DECORATORS = {
    "on_create": "on_add",
    "on_created": "on_add",
    "on_added": "on_add",
    "on_change": "on_update",
    "on_modified": "on_update",
    "on_updated": "on_update",
    "on_remove": "on_delete",
    "on_deleted": "on_delete",
    "on_resync": "on_update, whose event says resync",
    "on_event": "on_add, on_update and on_delete on one function",
    "on_start": "on_startup",
    "on_stop": "on_cleanup",
    "on_shutdown": "on_cleanup",
    "every": "timer",
    "daemon": "timer",
}
_KNOWN_ARGUMENTS = (
    "delivery", "workers", "resync_s", "deadline_s", "attempts_max", "indexes", "reads", "writes", "backoff_s",
    "rate_per_s", "burst",
)  # fmt: skip
_KNOWN_DECORATORS = (
    "on_add", "on_update", "on_delete", "on_gap", "reconcile", "timer", "on_startup", "on_cleanup",
)  # fmt: skip


def instead_of_argument(word: str) -> str:
    """``; it is attempts_max`` for an argument of Handler, or all that there are."""
    return _instead(word, ARGUMENTS, _KNOWN_ARGUMENTS, "arguments")


def instead_of_decorator(word: str) -> str:
    """``; it is on_add`` for a decorator, or all that there are."""
    return _instead(word, DECORATORS, _KNOWN_DECORATORS, "decorators")


def instead_of_delivery(word: object) -> str:
    """What ``delivery="all"`` most likely means."""
    return "; every state is 'every'" if word in ("all", "each", "history") else ""


def built_in_like(word: str) -> str:
    """The built-in resource that ``word``, which is none that is known, most likely means; "" for none."""
    close = difflib.get_close_matches(word, [known.plural for known in resources.BUILTIN], 1, cutoff=0.75)
    if not close:
        return ""
    from deltawire.client.typed.table import rows

    served = {
        name
        for group in rows().values()
        for row in group
        for name in (row.resource.plural, row.resource.singular)
    }
    return "" if word in served else close[0]


def _instead(word: str, synonyms: dict[str, str], known: tuple[str, ...], what: str) -> str:
    found = synonyms.get(word) or next(iter(difflib.get_close_matches(word, known, 1)), "")
    return f"; it is {found}" if found else f" ({what}: {', '.join(known)})"
