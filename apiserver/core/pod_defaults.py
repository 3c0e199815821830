"""What is filled in where an object describes pods."""

from typing import Any

Tree = dict[str, Any]

_POD_SPEC = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}
_CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
# rw-r--r--, as JSON writes it.
_MODE = 0o644


def pod_spec(given: Tree, *, is_pod: bool = False) -> Tree:
    """A pod's spec, or that of a template, completed. ``given`` is not changed."""
    spec = {**_POD_SPEC, **given}
    spec.setdefault("securityContext", {})
    if is_pod:
        spec.setdefault("enableServiceLinks", True)
    for kind in _CONTAINERS:
        containers = spec.get(kind)
        if isinstance(containers, list):
            spec[kind] = [_container(c, is_pod=is_pod) if isinstance(c, dict) else c for c in containers]
    if spec.get("hostNetwork"):
        for container in spec.get("containers") or ():
            container["ports"] = [
                {**port, "hostPort": port.get("hostPort") or port.get("containerPort")}
                for port in container.get("ports") or ()
            ]
            if not container["ports"]:
                del container["ports"]
    volumes = spec.get("volumes")
    if isinstance(volumes, list):
        spec["volumes"] = [_volume(v) if isinstance(v, dict) else v for v in volumes]
    return spec


def _container(given: Tree, *, is_pod: bool) -> Tree:
    made = {**_CONTAINER, **given}
    made.setdefault("resources", {})
    if not made.get("imagePullPolicy"):
        made["imagePullPolicy"] = _pull_policy(str(made.get("image") or ""))
    ports = made.get("ports")
    if isinstance(ports, list):
        made["ports"] = [{"protocol": "TCP", **p} if isinstance(p, dict) else p for p in ports]
    for name in _PROBES:
        if isinstance(made.get(name), dict):
            made[name] = _http_get({**_PROBE, **made[name]})
    if isinstance(made.get("lifecycle"), dict):
        made["lifecycle"] = {
            name: _http_get(h) if isinstance(h, dict) else h for name, h in made["lifecycle"].items()
        }
    env = made.get("env")
    if isinstance(env, list):
        made["env"] = [_variable(e) if isinstance(e, dict) else e for e in env]
    if is_pod and isinstance(made["resources"], dict) and made["resources"].get("limits"):
        resources = made["resources"]
        made["resources"] = {**resources, "requests": resources["limits"] | (resources.get("requests") or {})}
    return made


def _pull_policy(image: str) -> str:
    """What may change under its name is pulled each time."""
    if "@" in image:
        return "IfNotPresent"
    name = image.rpartition("/")[2]
    return "Always" if name.partition(":")[2] in ("", "latest") else "IfNotPresent"


def _http_get(handler: Tree) -> Tree:
    get = handler.get("httpGet")
    if not isinstance(get, dict):
        return handler
    return {**handler, "httpGet": {"path": "/", "scheme": "HTTP", **get}}


def _variable(variable: Tree) -> Tree:
    source = variable.get("valueFrom")
    if not isinstance(source, dict) or not isinstance(source.get("fieldRef"), dict):
        return variable
    return {**variable, "valueFrom": {**source, "fieldRef": {"apiVersion": "v1", **source["fieldRef"]}}}


def _volume(given: Tree) -> Tree:
    made = dict(given)
    if not made.keys() - {"name"}:
        made["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        if isinstance(made.get(kind), dict):
            made[kind] = {"defaultMode": _MODE, **made[kind]}
    if isinstance(made.get("hostPath"), dict):
        made["hostPath"] = {"type": "", **made["hostPath"]}
    for source in (made.get("projected") or {}).get("sources") or ():
        if isinstance(source, dict) and isinstance(source.get("serviceAccountToken"), dict):
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
    return made
