"""Prints every change of a Deployment, field by field: ``spec.replicas: 2 → 3``."""

from typing import Any

from deltawire import Event, Handler

handler = Handler("printer", delivery="every")

# They change with every write and say nothing that a reader wants to know.
QUIET = ("metadata.resourceVersion", "metadata.managedFields", "metadata.generation")


@handler.on_add("deployments.apps")
def added(deployment: dict[str, Any], event: Event) -> None:
    print(f"+ {event.key} replicas={deployment.get('spec', {}).get('replicas')}", flush=True)


@handler.on_update("deployments.apps")
def updated(old: dict[str, Any] | None, new: dict[str, Any], event: Event) -> None:
    if old is None:
        print(f"~ {event.key} (what it was before is no longer known)", flush=True)
        return
    for path, before, after in changes(old, new):
        if not path.startswith(QUIET):
            print(f"~ {event.key} {path}: {before} → {after}", flush=True)


@handler.on_delete("deployments.apps")
def deleted(deployment: dict[str, Any], event: Event) -> None:
    print(f"- {event.key}", flush=True)


def changes(old: Any, new: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """(path, before, after) of every leaf that differs; None stands for a field that is not there."""
    if isinstance(old, dict) and isinstance(new, dict):
        fields = [*old, *(field for field in new if field not in old)]
        return [
            change
            for field in fields
            for change in changes(old.get(field), new.get(field), f"{path}.{field}".lstrip("."))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            change
            for i, (before, after) in enumerate(zip(old, new, strict=True))
            for change in changes(before, after, f"{path}[{i}]")
        ]
    return [] if old == new else [(path, old, new)]
