"""Auth providers that left client-go, and the exec plug-in that took the place of each."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_BETA = "client.authentication.k8s.io/v1beta1"


def replacement(name: str, config: Mapping[str, str]) -> tuple[str, str] | None:
    """The plug-in for the removed provider ``name`` and a ``user:`` stanza to paste; None for other names.

    The stanza is YAML on one line. It takes over what the old ``config`` says, but no secret.
    """
    make = _STANZAS.get(name)
    if make is None:
        return None
    stanza = make(config)
    return stanza["command"], "user: " + msgspec.json.encode({"exec": stanza}).decode()


def _gcp(config: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": _BETA,
        "command": "gke-gcloud-auth-plugin",
        "provideClusterInfo": True,
        "interactiveMode": "IfAvailable",
    }


def _azure(config: Mapping[str, str]) -> dict[str, Any]:
    args = ["get-token"]
    for option, key, example in (
        ("--environment", "environment", "AzurePublicCloud"),
        ("--server-id", "apiserver-id", "<apiserver-id>"),
        ("--client-id", "client-id", "<client-id>"),
        ("--tenant-id", "tenant-id", "<tenant-id>"),
    ):
        args += [option, config.get(key, "") or example]
    return {"apiVersion": _BETA, "command": "kubelogin", "args": args, "interactiveMode": "IfAvailable"}


def _openstack(config: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": _BETA,
        "command": "client-keystone-auth",
        "env": [{"name": "OS_AUTH_URL", "value": "<keystone URL>"}],
        "interactiveMode": "IfAvailable",
    }


_STANZAS: dict[str, Callable[[Mapping[str, str]], dict[str, Any]]] = {
    "gcp": _gcp,
    "azure": _azure,
    "openstack": _openstack,
}
