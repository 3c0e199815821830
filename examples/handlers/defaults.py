"""Each namespace gets a NetworkPolicy and a ResourceQuota; they are put back when somebody deletes them."""

from deltawire import Handler

SYSTEM = ("kube-", "default")
DEFAULTS = (
    {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}},
    {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "50", "requests.cpu": "8"}}},
)
handler = Handler("defaults")


@handler.on_add("namespaces")
@handler.on_delete("networkpolicies.networking.k8s.io")
@handler.on_delete("resourcequotas")
def fill(obj, event, ctx):
    name = event.namespace or event.name
    namespace = ctx.lister("namespaces").get_key(name)
    if namespace and not name.startswith(SYSTEM) and not namespace["metadata"].get("deletionTimestamp"):
        for default in DEFAULTS:
            ctx.apply({**default, "metadata": {"name": "defaults", "namespace": name}})
