"""What can be chosen about a deployment, and the places in its containers."""

from dataclasses import dataclass, field

from deltawire.cli.manifest.sizes import Size

CONFIG_DIR = "/etc/deltawire"
KEYS_DIR = "/etc/deltawire-keys"
CODE_DIR = "/usr/share/deltawire/code"
# The volumes belong to root and our group; we make our own, closed folders in them.
STATE_MOUNT, STATE_DIR = "/var/lib/deltawire", "/var/lib/deltawire/state"
RUN_MOUNT, RUN_DIR = "/run/deltawire", "/run/deltawire/sockets"
HEALTH_FILE = "/tmp/deltawire-health"  # noqa: S108  # in the container's own /tmp
CONTROL_PORT, FIRST_WORKER_PORT, METRICS_PORT = 7400, 7410, 9095
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104  # of a pod, whose NetworkPolicy says who reaches it
USER_ID = 1000
# A StatefulSet's pods have the label ``<name>-<hash>``, a handler's ``handler-<name>``: 63 characters at most.
NAME_CHARS_MAX, HANDLER_CHARS_MAX = 52, 55


@dataclass(frozen=True, slots=True)
class Shape:
    """``image``: of every container. ``storage_class``: "" for the cluster's default.

    ``monitor``: with a PodMonitor and alerts, whose kinds the Prometheus operator brings.
    ``allowed``: the list of keys. ``secrets``: owner → content of its file; None leaves them out.
    ``code``: handler → (file's name, content), which is mounted.
    """

    name: str
    namespace: str
    image: str
    size: Size
    storage_class: str = ""
    monitor: bool = False
    allowed: str = ""
    secrets: dict[str, str] | None = None
    code: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """Under which name handlers reach the core."""
        return f"{self.name}.{self.namespace}.svc"

    def labels(self, component: str) -> dict[str, str]:
        return {
            "app.kubernetes.io/name": "deltawire",
            "app.kubernetes.io/instance": self.name,
            "app.kubernetes.io/component": component,
        }

    def metadata(self, name: str, component: str) -> dict[str, object]:
        return {"name": name, "namespace": self.namespace, "labels": self.labels(component)}
