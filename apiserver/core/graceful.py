"""How long a pod that is deleted may take to stop, and what a terminating namespace says of itself."""

from collections.abc import Mapping
from typing import Any

Tree = dict[str, Any]

# What pods get that do not say (API default).
GRACE_DEFAULT_S = 30
_ENDED = ("Succeeded", "Failed")


def grace_s_of(pod: Tree, asked_s: int | None) -> int:
    """Seconds that ``pod`` gets; 0 where nothing runs that would have to stop. ``asked_s`` goes before its spec.

    A negative period counts as one second, as in the API server.
    """
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in _ENDED:
        return 0
    grace_s = spec.get("terminationGracePeriodSeconds", GRACE_DEFAULT_S) if asked_s is None else asked_s
    if not isinstance(grace_s, int):
        return GRACE_DEFAULT_S
    return grace_s if grace_s >= 0 else 1


def is_stopping(pod: Tree) -> bool:
    """Whether the pod is being stopped and its grace period lasts."""
    metadata = pod["metadata"]
    return "deletionTimestamp" in metadata and bool(metadata.get("deletionGracePeriodSeconds"))


def namespace_conditions(left: Mapping[str, int], finalizers: Mapping[str, int], now: str) -> list[Tree]:
    """``left`` counts what is still there by resource (``pods``, ``deployments.apps``), ``finalizers`` by name."""
    told = [
        (
            "NamespaceDeletionDiscoveryFailure",
            False,
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            False,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            False,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
    ]
    counts = ", ".join(
        f"{_qualified(name)} has {count} resource instances" for name, count in sorted(left.items())
    )
    if left:
        told.append(
            (
                "NamespaceContentRemaining",
                True,
                "SomeResourcesRemain",
                f"Some resources are remaining: {counts}",
            )
        )
    else:
        told.append(
            ("NamespaceContentRemaining", False, "ContentRemoved", "All content successfully removed")
        )
    held = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
    if finalizers:
        why = f"Some content in the namespace has finalizers remaining: {held}"
        told.append(("NamespaceFinalizersRemaining", True, "SomeFinalizersRemain", why))
    else:
        why = "All content-preserving finalizers finished"
        told.append(("NamespaceFinalizersRemaining", False, "ContentHasNoFinalizers", why))
    return [
        {
            "type": kind,
            "status": "True" if holds else "False",
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }
        for kind, holds, reason, message in told
    ]


def _qualified(storage: str) -> str:
    """A resource with its group, also where that is the empty one."""
    return storage if "." in storage else f"{storage}."
