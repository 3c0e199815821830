"""A controller: a Website gets a Deployment, a Service and an entry in a DNS API, and says how it is."""

import os

import requests

from deltawire import Handler

DNS = os.environ.get("DNS_API", "http://dns.internal/hosts")
CHILDREN = ("deployments.apps", "services")
handler = Handler("website")


def children(name, spec):
    labels = {"app": name}
    container = {"name": "web", "image": spec["image"], "ports": [{"containerPort": 80}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    wanted = {"replicas": spec["replicas"], "selector": {"matchLabels": labels}, "template": template}
    meta = {"metadata": {"name": name, "labels": labels}}
    yield {"apiVersion": "apps/v1", "kind": "Deployment", **meta, "spec": wanted}
    yield {"apiVersion": "v1", "kind": "Service", **meta, "spec": {"selector": labels, "ports": [{"port": 80}]}}


@handler.reconcile("websites.example.com", owns=CHILDREN, writes=CHILDREN)
def reconcile(key, ctx):
    if (site := ctx.object) is None:
        return
    name, spec = site["metadata"]["name"], site["spec"]
    with ctx.finalizer("example.com/dns") as leaving:
        if leaving:
            requests.delete(f"{DNS}/{spec['host']}", timeout=5).raise_for_status()
    if ctx.is_deleting:
        return
    requests.put(f"{DNS}/{spec['host']}", json={"service": key}, timeout=5).raise_for_status()
    deployment, _ = [ctx.apply(ctx.own(child)) for child in children(name, spec)]
    ready = deployment.get("status", {}).get("readyReplicas", 0)
    is_ready = ctx.condition("Ready", ready >= spec["replicas"], "Replicas", f"{ready} of {spec['replicas']}")
    ctx.status(readyReplicas=ready, conditions=[is_ready], observedGeneration=ctx.generation)
