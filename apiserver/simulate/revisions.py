"""Revisions of templates: StatefulSets and DaemonSets keep each as a ControllerRevision."""

from typing import Any

from deltawire.apiserver.simulate import workloads
from deltawire.apiserver.simulate.desk import Desk, reference_to

Tree = dict[str, Any]
REVISIONS = "controllerrevisions.apps"
LABEL = "controller-revision-hash"


def revision_of(desk: Desk, owner: Tree) -> str:
    """The hash of the owner's template; its revision is made or, where it is an older one, made the newest."""
    metadata, template = owner["metadata"], owner["spec"]["template"]
    digest = workloads.template_hash(template)
    name = f"{metadata['name']}-{digest}"
    known = desk.owned(REVISIONS, owner)
    newest = max((revision.get("revision", 0) for revision in known), default=0)
    current = next((revision for revision in known if revision["metadata"]["name"] == name), None)
    if current is None:
        body = {
            "metadata": {
                "name": name,
                "labels": {**((template.get("metadata") or {}).get("labels") or {}), LABEL: digest},
                "ownerReferences": [reference_to(owner, "apps/v1", owner["kind"])],
            },
            "data": {"spec": {"template": {**template, "$patch": "replace"}}},
            "revision": newest + 1,
        }
        desk.create(REVISIONS, body, metadata["namespace"])
    elif current.get("revision") != newest:
        desk.patch(REVISIONS, current, lambda obj: {**obj, "revision": newest + 1})
    _forget(desk, owner, known, name)
    return digest


def _forget(desk: Desk, owner: Tree, known: list[Tree], current: str) -> None:
    """Drop the oldest revisions beyond the history that is wanted."""
    kept = owner["spec"].get("revisionHistoryLimit", workloads.HISTORY_DEFAULT)
    old = [r for r in known if r["metadata"]["name"] != current]
    old.sort(key=lambda revision: revision.get("revision", 0))
    for revision in old[: max(len(old) - kept, 0)]:
        desk.delete(REVISIONS, revision)
