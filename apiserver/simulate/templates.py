"""Bodies of the simulated cluster's objects. A running pod is about 4 KiB, as pods of real clusters are."""

from collections.abc import Sequence
from typing import Any

Tree = dict[str, Any]

# The label of everything the simulated cluster made, by which it knows its own after a restart.
MADE_HERE = {"app.kubernetes.io/managed-by": "simulation"}

_IMAGE = "registry.example.net/shop/{name}:v{revision}"
_TIMES = "2026-01-01T00:00:00Z"


def deployment(namespace: str, name: str, replicas: int) -> Tree:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": _labels(name)},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "template": {"metadata": {"labels": _labels(name)}, "spec": _pod_spec(name, "")},
        },
    }


def replica_set(namespace: str, name: str, pod_hash: str, replicas: int, owner_uid: str) -> Tree:
    labels = _labels(name) | {"pod-template-hash": pod_hash}
    return {
        "metadata": {
            "name": f"{name}-{pod_hash}",
            "namespace": namespace,
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": "1"},
            "ownerReferences": [_owner("apps/v1", "Deployment", name, owner_uid)],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name, "pod-template-hash": pod_hash}},
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec(name, "")},
        },
    }


def replica_status(replicas: int, ready: int) -> Tree:
    """The status of a ReplicaSet or a Deployment."""
    return {
        "replicas": replicas,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "updatedReplicas": replicas,
        "observedGeneration": 1,
    }


def pod(namespace: str, workload: str, pod_hash: str, name: str, node_name: str, owner_uid: str) -> Tree:
    """A pod that was just scheduled: Pending, no container started."""
    owner = f"{workload}-{pod_hash}"
    return {
        "metadata": {
            "name": name,
            "generateName": f"{owner}-",
            "namespace": namespace,
            "labels": _labels(workload) | {"pod-template-hash": pod_hash},
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "8080",
                "checksum/config": (f"{workload}{pod_hash}".encode().hex() * 4)[:64],
            },
            "ownerReferences": [_owner("apps/v1", "ReplicaSet", owner, owner_uid)],
            "managedFields": _managed_fields(),
        },
        "spec": _pod_spec(workload, node_name),
        "status": {
            "phase": "Pending",
            "conditions": [_condition("PodScheduled", "")],
            "qosClass": "Burstable",
        },
    }


def running(pod: Tree, number: int, now: str) -> Tree:
    """The status of ``pod`` once its container runs."""
    workload = pod["metadata"]["labels"]["app"]
    image_id = f"registry.example.net/shop/{workload}@sha256:{workload.encode().hex():0<64.64}"
    container = {"name": "app", "image": _IMAGE.format(name=workload, revision=1), "imageID": image_id}
    return running_status([container], number, now)


def running_status(containers: Sequence[Tree], number: int, now: str) -> Tree:
    """The status of the ``number``-th pod once these containers run."""
    address = f"10.{number // 62500 % 200 + 10}.{number // 250 % 250}.{number % 250 + 1}"
    conditions = [
        _condition(kind, "", now) for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    return {
        "phase": "Running",
        "conditions": conditions,
        "hostIP": "10.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now,
        "qosClass": "Burstable",
        "containerStatuses": [
            {
                "name": container.get("name", ""),
                "state": {"running": {"startedAt": now}},
                "lastState": {},
                "ready": True,
                "started": True,
                "restartCount": 0,
                "image": container.get("image", ""),
                "imageID": container.get("imageID", ""),
                "containerID": f"containerd://{number:064x}",
            }
            for container in containers
        ],
    }


def plain(number: int, namespace: str, name: str) -> Tree:
    """An object of any other kind: metadata and a little data."""
    metadata: Tree = {"name": f"{name}-{number:06d}", "labels": dict(MADE_HERE)}
    if namespace:
        metadata["namespace"] = namespace
    return {"metadata": metadata}


def _labels(name: str) -> dict[str, str]:
    return {
        **MADE_HERE,
        "app": name,
        "app.kubernetes.io/name": name,
        "tier": "backend" if name.endswith("1") else "frontend",
    }


def _owner(api_version: str, kind: str, name: str, uid: str) -> Tree:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _condition(kind: str, reason: str, at: str = _TIMES) -> Tree:
    condition = {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": at}
    return condition | {"reason": reason} if reason else condition


def _pod_spec(workload: str, node_name: str) -> Tree:
    spec: Tree = {
        "containers": [
            {
                "name": "app",
                "image": _IMAGE.format(name=workload, revision=1),
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "env": [{"name": "SERVICE", "value": workload}, {"name": "LOG_LEVEL", "value": "info"}],
                "resources": {
                    "limits": {"cpu": "500m", "memory": "512Mi"},
                    "requests": {"cpu": "250m", "memory": "256Mi"},
                },
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10},
                "volumeMounts": [
                    {
                        "name": "token",
                        "readOnly": True,
                        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                    }
                ],
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "volumes": [
            {
                "name": "token",
                "projected": {
                    "defaultMode": 420,
                    "sources": [
                        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                        {
                            "configMap": {
                                "name": "kube-root-ca.crt",
                                "items": [{"key": "ca.crt", "path": "ca.crt"}],
                            }
                        },
                    ],
                },
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "enableServiceLinks": True,
        "priority": 0,
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{what}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for what in ("not-ready", "unreachable")
        ],
    }
    if node_name:
        spec["nodeName"] = node_name
    return spec


def _managed_fields() -> list[Tree]:
    """managedFields: the largest part of a real pod's metadata."""
    container: Tree = {
        f"f:{name}": {}
        for name in (
            "image",
            "imagePullPolicy",
            "name",
            "env",
            "resources",
            "readinessProbe",
            "ports",
            "volumeMounts",
        )
    }
    conditions: Tree = {
        f'k:{{"type":"{kind}"}}': {".": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}}
        for kind in ("ContainersReady", "Initialized", "Ready")
    }
    return [
        {
            "manager": "kube-controller-manager",
            "operation": "Update",
            "apiVersion": "v1",
            "time": _TIMES,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {
                    "f:generateName": {},
                    "f:labels": {".": {}, "f:app": {}},
                    "f:ownerReferences": {".": {}},
                },
                "f:spec": {
                    "f:containers": {'k:{"name":"app"}': {".": {}, **container}},
                    "f:restartPolicy": {},
                },
            },
        },
        {
            "manager": "kubelet",
            "operation": "Update",
            "apiVersion": "v1",
            "time": _TIMES,
            "fieldsType": "FieldsV1",
            "subresource": "status",
            "fieldsV1": {
                "f:status": {
                    "f:conditions": conditions,
                    "f:containerStatuses": {},
                    "f:hostIP": {},
                    "f:phase": {},
                    "f:podIP": {},
                    "f:startTime": {},
                }
            },
        },
    ]
