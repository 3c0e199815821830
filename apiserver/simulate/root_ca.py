"""Every namespace holds the certificate by which its pods know the API server."""

from collections.abc import Callable
from typing import Any

from deltawire.apiserver.managed.managers import Manager
from deltawire.apiserver.simulate.desk import Desk

Tree = dict[str, Any]
_MANAGER = Manager("kube-controller-manager", api_version="v1")
NAME = "kube-root-ca.crt"
_ABOUT = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


def act(desk: Desk, namespace: Tree, root_ca: Callable[[], str]) -> None:
    """Make the config map where it is missing. ``root_ca`` gives PEM."""
    name = namespace["metadata"]["name"]
    if not desk.core.exists("configmaps", NAME, name):
        body = {
            "metadata": {"name": NAME, "annotations": {"kubernetes.io/description": _ABOUT}},
            "data": {"ca.crt": root_ca()},
        }
        desk.core.create("configmaps", body, name, manager=_MANAGER)
