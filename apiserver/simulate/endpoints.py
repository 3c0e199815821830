"""Services with a selector get an EndpointSlice and Endpoints of the pods that it chooses."""

from typing import Any

from deltawire.apiserver.simulate.desk import PODS, Desk, reference_to
from deltawire.apiserver.simulate.pod_status import has_ended, is_ready

Tree = dict[str, Any]
SLICES, ENDPOINTS = "endpointslices.discovery.k8s.io", "endpoints"
SERVICE_NAME = "kubernetes.io/service-name"
_MANAGED_BY = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
# Addresses of one slice; what a service has beyond it is left out (the controller's own bound).
ADDRESSES_MAX = 1000


def act(desk: Desk, service: Tree) -> None:
    spec, metadata = service.get("spec") or {}, service["metadata"]
    if not spec.get("selector") or spec.get("type") == "ExternalName":
        return
    namespace, name = metadata["namespace"], metadata["name"]
    pods = []
    for record in desk.selected(PODS, namespace, spec["selector"]):
        pod = record.decode()
        if (pod.get("status") or {}).get("podIP") and not has_ended(pod):
            pods.append(pod)
    pods = pods[:ADDRESSES_MAX]
    _write_slice(desk, service, pods)
    endpoints = desk.find(ENDPOINTS, namespace, name)
    subsets = _subsets(service, pods)
    labels = {**(metadata.get("labels") or {}), "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    if spec.get("clusterIP") == "None":
        labels["service.kubernetes.io/headless"] = ""
    if endpoints is None:
        body: Tree = {"metadata": {"name": name, "labels": labels}}
        desk.create(ENDPOINTS, {**body, "subsets": subsets} if subsets else body, namespace)
    elif (endpoints.get("subsets") or []) != subsets:
        desk.patch(ENDPOINTS, endpoints, lambda obj: {**obj, "subsets": subsets})


def _write_slice(desk: Desk, service: Tree, pods: list[Tree]) -> None:
    metadata = service["metadata"]
    found = desk.owned(SLICES, service)
    made = [_endpoint(pod) for pod in pods]
    ports = _ports(service, pods[0] if pods else None)
    if not found:
        labels = {**(metadata.get("labels") or {}), **_MANAGED_BY, SERVICE_NAME: metadata["name"]}
        if (service["spec"]).get("clusterIP") == "None":
            labels["service.kubernetes.io/headless"] = ""
        body: Tree = {
            "addressType": "IPv4",
            "endpoints": made,
            "ports": ports,
            "metadata": {
                "generateName": f"{metadata['name']}-",
                "labels": labels,
                "ownerReferences": [reference_to(service, "v1", "Service")],
            },
        }

        def named(suffix: str) -> Tree:
            return {**body, "metadata": {**body["metadata"], "name": f"{metadata['name']}-{suffix}"}}

        desk.create_with_suffix(SLICES, named, metadata["namespace"])
        return
    current = found[0]
    if (current.get("endpoints") or []) != made or (current.get("ports") or []) != ports:
        desk.patch(SLICES, current, lambda obj: {**obj, "endpoints": made, "ports": ports})


def _endpoint(pod: Tree) -> Tree:
    is_leaving = "deletionTimestamp" in pod["metadata"]
    ready = is_ready(pod)
    made: Tree = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not is_leaving, "serving": ready, "terminating": is_leaving},
        "targetRef": _target(pod),
    }
    spec = pod.get("spec") or {}
    if spec.get("nodeName"):
        made["nodeName"] = spec["nodeName"]
    if spec.get("hostname") and spec.get("subdomain"):
        made["hostname"] = spec["hostname"]
    return made


def _target(pod: Tree) -> Tree:
    metadata = pod["metadata"]
    return {
        "kind": "Pod",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def _ports(service: Tree, pod: Tree | None) -> list[Tree]:
    """The service's ports as numbers of the pod's; names stand for container ports."""
    ports = []
    for port in (service.get("spec") or {}).get("ports") or ():
        target = port.get("targetPort") or port.get("port")
        if isinstance(target, str):
            target = next((number for name, number in _named(pod) if name == target), None)
        if target is not None:
            ports.append(
                {"name": port.get("name", ""), "port": target, "protocol": port.get("protocol", "TCP")}
            )
    return ports


def _named(pod: Tree | None) -> list[tuple[Any, Any]]:
    containers = ((pod or {}).get("spec") or {}).get("containers") or ()
    return [(p.get("name"), p.get("containerPort")) for c in containers for p in c.get("ports") or ()]


def _subsets(service: Tree, pods: list[Tree]) -> list[Tree]:
    ready: list[Tree] = []
    waiting: list[Tree] = []
    for pod in pods:
        if "deletionTimestamp" in pod["metadata"]:
            continue
        address: Tree = {"ip": pod["status"]["podIP"], "targetRef": _target(pod)}
        if (pod.get("spec") or {}).get("nodeName"):
            address["nodeName"] = pod["spec"]["nodeName"]
        (ready if is_ready(pod) else waiting).append(address)
    if not ready and not waiting:
        return []
    subset: Tree = {}
    if ready:
        subset["addresses"] = ready
    if waiting:
        subset["notReadyAddresses"] = waiting
    ports = [
        {name: value for name, value in port.items() if name != "name" or value}
        for port in _ports(service, pods[0])
    ]
    return [{**subset, "ports": ports} if ports else subset]
