"""Which requests a key may make of the supervisor, and what of an answer it may see. Pure.

A key of ``cli`` may ask for all. A reader asks for what shows how the informers are that it may read, a handler for
what it needs to connect.
"""

from collections.abc import Mapping
from typing import Any

from deltawire.common.wire.keys import Allowed

# Requests that change nothing: they are too many for the audit's log.
ONLY_READ = frozenset({"status", "describe", "key"})
_OF_KIND = {"reader": ONLY_READ, "handler": frozenset({"describe"})}
_SHOWN_CHARS = 200


def objection(whose: Allowed, verb: str, arguments: Mapping[str, Any]) -> str:
    """Why this key may not ask for that; "" if it may."""
    if whose.kind == "cli":
        return ""
    verbs = _OF_KIND.get(whose.kind, frozenset())
    if not verbs:
        return "this key only reports: to ask, use a key of cli or cli/NAME"
    if verb not in verbs:
        return f"a key of {whose.owner} may not ask for {verb[:40]!r}: use a key of cli or cli/NAME"
    informer = str(arguments.get("informer", ""))
    if verb == "key" and whose.informers is not None and informer not in whose.informers:
        return f"the key of {whose.owner} may not read {informer[:_SHOWN_CHARS]!r}"
    return ""


def words(arguments: Mapping[str, Any]) -> str:
    """A request's arguments in one line of a log: names, no objects."""
    kept = (f"{name}={value}" for name, value in arguments.items() if isinstance(value, (str, int)) and value)
    return " ".join(kept)[:_SHOWN_CHARS]


def narrowed(whose: Allowed | None, verb: str, answer: Any) -> Any:
    """An answer without what the key may not see; ``whose`` None: there are no keys."""
    if whose is None or whose.kind == "cli":
        return answer
    if verb == "describe":
        return _description(answer, whose)
    return answer if whose.informers is None else _status(answer, whose.informers)


def _description(answer: dict[str, Any], whose: Allowed) -> dict[str, Any]:
    """Its informers, and no handlers."""
    config = {name: value for name, value in answer["config"].items() if name != "handlers"}
    if whose.informers is not None:
        config["informers"] = [
            one for one in config.get("informers", []) if f"{one['cluster']}/{one['resource']}" in whose.informers
        ]
    return {**answer, "config": config}


def _status(answer: dict[str, Any], informers: frozenset[str]) -> dict[str, Any]:
    """Its informers, their streams, and the handlers that watch nothing else."""
    kept: dict[str, dict[str, Any]] = {
        "informers": {name: one for name, one in answer["informers"].items() if name in informers},
        "streams": {name: one for name, one in answer["streams"].items() if name.rpartition("@")[0] in informers},
        "groups": {
            name: one
            for name, one in answer["groups"].items()
            if one["informers"] and informers.issuperset(one["informers"])
        },
    }
    clusters = {name.partition("/")[0] for name in informers}
    kept["clusters"] = {name: one for name, one in answer["clusters"].items() if name in clusters}
    hidden = [name for field in kept for name in answer[field] if name not in kept[field]]
    lines = {
        field: [line for line in answer[field] if not any(name in line for name in hidden)]
        for field in ("unready", "core_faults")
    }
    # Last words of a process may quote anything.
    processes = {name: {**one, "last_words": ""} for name, one in answer["processes"].items()}
    return {**answer, **kept, **lines, "processes": processes, "kills": {}}
