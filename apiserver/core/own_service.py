"""The service through which pods reach the API server itself: every cluster has it, with its endpoints and the range of
its address."""

from dataclasses import replace
from typing import Any

from deltawire.apiserver.core.addresses import NETWORK
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.managed.managers import Manager

NAME, NAMESPACE = "kubernetes", "default"
ADDRESS, PORT = "10.0.0.1", 443
_CIDRS = "servicecidrs.networking.k8s.io"
_MANAGER = Manager("kube-apiserver", api_version="v1", is_trusted=True)


def make_own_service(core: ApiCore, host: str, port: int) -> None:
    """Make the service, its EndpointSlice and the ServiceCIDR where they are missing. ``host`` is an IPv4 address."""
    if not core.exists(_CIDRS, NAME):
        cidr = {"metadata": {"name": NAME}, "spec": {"cidrs": [str(NETWORK)]}}
        manager = Manager("kube-apiserver", api_version="networking.k8s.io/v1", is_trusted=True)
        made = core.create(_CIDRS, cidr, manager=manager).decode()
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "",
            "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": made["metadata"]["creationTimestamp"],
        }
        made["status"] = {"conditions": [ready]}
        core.update(_CIDRS, made, NAME, subresource="status", manager=replace(manager, subresource="status"))
    if not core.exists("services", NAME, NAMESPACE):
        spec: dict[str, Any] = {
            "clusterIP": ADDRESS,
            "clusterIPs": [ADDRESS],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "protocol": "TCP", "port": PORT, "targetPort": port}],
        }
        labels = {"component": "apiserver", "provider": "kubernetes"}
        service = {"metadata": {"name": NAME, "labels": labels}, "spec": spec}
        core.create("services", service, NAMESPACE, manager=_MANAGER)
    if not core.exists("endpointslices.discovery.k8s.io", NAME, NAMESPACE):
        labels = {"kubernetes.io/service-name": NAME}
        piece = {
            "metadata": {"name": NAME, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "protocol": "TCP", "port": port}],
        }
        core.create("endpointslices.discovery.k8s.io", piece, NAMESPACE)
