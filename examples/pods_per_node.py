"""Keeps a count of the Pods on each node, by an index of the shared cache.

The index is declared here, so no config is needed. What is counted is the cache, so a count is right again
after the next change, whatever was missed before.
"""

import threading
from typing import Any

from deltawire import Context, Event, Handler

handler = Handler("pods-per-node", indexes={"pods": {"by-node": ".spec.nodeName"}})

counts: dict[str, int] = {}
left: dict[str, str] = {}
_lock = threading.Lock()


@handler.on_delete("pods")
def remember_node(pod: dict[str, Any], event: Event) -> None:
    """The reconcile of the same Pod comes after this call and no longer finds it in the cache."""
    left[event.key] = pod.get("spec", {}).get("nodeName", "")


@handler.reconcile("pods")
def count(key: str, ctx: Context) -> None:
    """Counts the Pods of the node that the Pod is on, or was."""
    pod = ctx.lister().get_key(key)
    node = pod["spec"].get("nodeName") if pod else left.pop(key, "")
    if not node:
        return
    # Two Pods of one node may be counted by two threads: the later count must also be printed later.
    with _lock:
        found = len(ctx.lister().by_index("by-node", node))
        if counts.get(node) != found:
            counts[node] = found
            print(f"{node}: {found} pods", flush=True)
