"""The official client: typed, dynamic and custom calls."""

import threading
from typing import Any

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.informer import SharedInformer

from tests.acceptance.apiserver.calls import Call

LABELS = {"app": "web"}
_NAMESPACES = 4  # that every cluster has
_PATIENCE_S = 20.0
POD: dict[str, Any] = {
    "metadata": {"name": "p", "labels": LABELS},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
    },
}
SERVICE = client.V1Service(
    metadata=client.V1ObjectMeta(name="web"),
    spec=client.V1ServiceSpec(selector=LABELS, ports=[client.V1ServicePort(port=80, target_port="http")]),
)
GADGET = {"apiVersion": "example.net/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
WIDGETS = ("example.net", "v1", "default", "widgets")
MAP: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}


class Official:
    """The API classes that the calls use, over one ApiClient; closing it is the caller's."""

    def __init__(self, kubeconfig: str, cache_file: str) -> None:
        self.api = config.new_client_from_config(kubeconfig)
        self.core, self.apps = client.CoreV1Api(self.api), client.AppsV1Api(self.api)
        self.batch, self.rbac = client.BatchV1Api(self.api), client.RbacAuthorizationV1Api(self.api)
        self.net, self.custom = client.NetworkingV1Api(self.api), client.CustomObjectsApi(self.api)
        self.scaling, self.leases = client.AutoscalingV2Api(self.api), client.CoordinationV1Api(self.api)
        self.crds, self.policy = client.ApiextensionsV1Api(self.api), client.PolicyV1Api(self.api)
        self.certificates = client.CertificatesV1Api(self.api)
        self._cache_file = cache_file

    def dynamic(self, kind: str, version: str = "v1") -> Any:
        found = dynamic.DynamicClient(self.api, cache_file=self._cache_file).resources
        return found.get(api_version=version, kind=kind)

    def apply(self, body: dict[str, Any], manager: str, force: bool = False) -> Any:
        return self.core.patch_namespaced_config_map(
            body["metadata"]["name"],
            "default",
            body,
            field_manager=manager,
            force=force,
            _content_type="application/apply-patch+yaml",
        )

    def events(self, **query: Any) -> list[tuple[str, str]]:
        stream = watch.Watch().stream(
            self.core.list_namespaced_config_map, "default", timeout_seconds=1, **query
        )
        return [(event["type"], event["object"].metadata.name) for event in stream]

    def two_pages(self) -> list[Any]:
        first = self.core.list_namespace(limit=3)
        rest = self.core.list_namespace(limit=3, _continue=first.metadata._continue)
        same = first.metadata.resource_version == rest.metadata.resource_version
        return [
            len(first.items),
            first.metadata.remaining_item_count,
            len(rest.items),
            rest.metadata._continue,
            same,
        ]

    def stale_lease(self) -> Any:
        spec = client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=15)
        lease = client.V1Lease(metadata=client.V1ObjectMeta(name="l"), spec=spec)
        made = self.leases.create_namespaced_lease("default", lease)
        self.leases.replace_namespaced_lease("l", "default", made)
        made.spec.holder_identity = "other"
        self.leases.replace_namespaced_lease("l", "default", made)
        return self.leases.replace_namespaced_lease("l", "default", made)

    def informed(self) -> list[str]:
        # Its `stop` misses a watch that is just being opened, and waits for its end: that comes each second here.
        informer = SharedInformer(self.core.list_namespace, resync_period=1)
        seen = threading.Semaphore(0)
        informer.add_event_handler("ADDED", lambda _: seen.release())
        informer.start()
        try:
            for _ in range(_NAMESPACES):
                seen.acquire(timeout=_PATIENCE_S)
            return sorted(o.metadata.name for o in informer.cache.list())
        finally:
            informer.stop()


CALLS = (
    Call("version", lambda c: client.VersionApi(c.api).get_code().git_version, r"^v1\.35"),
    Call(
        "groups",
        lambda c: [g.name for g in client.ApisApi(c.api).get_api_versions().groups],
        r"'apps', .*'batch'",
    ),
    Call(
        "resources of a group",
        lambda c: [r.name for r in c.apps.get_api_resources().resources],
        r"'deployments/scale'",
    ),
    Call(
        "a service is completed",
        lambda c: c.core.create_namespaced_service("default", SERVICE).spec.type,
        "^ClusterIP$",
    ),
    Call(
        "a port keeps its name",
        lambda c: c.core.read_namespaced_service("web", "default").spec.ports[0].target_port,
        "^http$",
    ),
    Call(
        "label selector",
        lambda c: len(c.core.list_namespace(label_selector="kubernetes.io/metadata.name=default").items),
        "^1$",
    ),
    Call("a pod", lambda c: c.core.create_namespaced_pod("default", POD).status.phase, "^Pending$"),
    Call(
        "field selector",
        lambda c: len(
            c.core.list_pod_for_all_namespaces(
                field_selector="status.phase=Pending,spec.nodeName=,metadata.name=p"
            ).items
        ),
        "^1$",
    ),
    Call(
        "bad field selector",
        lambda c: c.core.list_namespaced_pod("default", field_selector="a.b=c"),
        "Exception 400 BadRequest",
    ),
    Call(
        "dry run",
        lambda c: c.core.create_namespaced_config_map("default", MAP, dry_run="All").metadata.uid,
        "-",
    ),
    Call(
        "nothing was stored",
        lambda c: c.core.read_namespaced_config_map("a", "default"),
        "Exception 404 NotFound",
    ),
    Call("two pages, one version", lambda c: c.two_pages(), r"^\[3, 1, 1, None, True\]$"),
    Call(
        "pod status by merge",
        lambda c: (
            c.core.patch_namespaced_pod_status("p", "default", {"status": {"phase": "Running"}}).status.phase
        ),
        "^Running$",
    ),
    Call(
        "log of a pod",
        lambda c: c.core.read_namespaced_pod_log("talker", "default", tail_lines=1),
        "^second\n$",
    ),
    Call(
        "binding",
        lambda c: (
            c.core.create_namespaced_pod_binding(
                "p",
                "default",
                client.V1Binding(target=client.V1ObjectReference(kind="Node", name="n")),
                _preload_content=False,
            ).status
        ),
        "^201$",
    ),
    Call("the pod is bound", lambda c: c.core.read_namespaced_pod("p", "default").spec.node_name, "^n$"),
    Call(
        "a deployment",
        lambda c: c.apps.create_namespaced_deployment("default", DEPLOYMENT).spec.replicas,
        "^1$",
    ),
    Call(
        "a list is a JSON patch",
        lambda c: (
            c.apps.patch_namespaced_deployment(
                "web", "default", [{"op": "replace", "path": "/spec/replicas", "value": 2}]
            ).spec.replicas
        ),
        "^2$",
    ),
    Call(
        "a bad JSON patch",
        lambda c: c.apps.patch_namespaced_deployment(
            "web", "default", [{"op": "test", "path": "/spec/replicas", "value": 9}]
        ),
        "Exception 422 Invalid",
    ),
    Call(
        "status",
        lambda c: (
            c.apps.patch_namespaced_deployment_status(
                "web", "default", {"status": {"replicas": 2, "readyReplicas": 2}}
            ).status.ready_replicas
        ),
        "^2$",
    ),
    Call(
        "scale",
        lambda c: (
            c.apps.patch_namespaced_deployment_scale(
                "web", "default", {"spec": {"replicas": 5}}
            ).spec.replicas
        ),
        "^5$",
    ),
    Call(
        "generation", lambda c: c.apps.read_namespaced_deployment("web", "default").metadata.generation, "^3$"
    ),
    Call(
        "preconditions",
        lambda c: c.apps.delete_namespaced_deployment(
            "web", "default", body=client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="x"))
        ),
        "Exception 409 Conflict",
    ),
    Call(
        "delete",
        lambda c: (
            c.apps.delete_namespaced_deployment(
                "web", "default", propagation_policy="Foreground", _preload_content=False
            ).status
        ),
        "^200$",
    ),
    Call(
        "a job",
        lambda c: (
            c.batch.create_namespaced_job(
                "default",
                {
                    "metadata": {"name": "j"},
                    "spec": {
                        "template": {
                            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
                        }
                    },
                },
            ).spec.parallelism
        ),
        "^1$",
    ),
    Call(
        "a token",
        lambda c: c.core.create_namespaced_service_account_token(
            "default",
            "default",
            client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=["a"])),
        ).status.token.count("."),
        "^2$",
    ),
    Call(
        "a cluster role",
        lambda c: (
            c.rbac.create_cluster_role(
                client.V1ClusterRole(
                    metadata=client.V1ObjectMeta(name="r"),
                    rules=[client.V1PolicyRule(api_groups=[""], resources=["pods"], verbs=["get"])],
                )
            )
            .rules[0]
            .verbs
        ),
        r"^\['get'\]$",
    ),
    Call(
        "an ingress",
        lambda c: (
            c.net.create_namespaced_ingress(
                "default",
                {
                    "metadata": {"name": "i"},
                    "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
                },
            ).spec.default_backend.service.name
        ),
        "^web$",
    ),
    Call(
        "an autoscaler",
        lambda c: (
            c.scaling.create_namespaced_horizontal_pod_autoscaler(
                "default",
                {
                    "metadata": {"name": "h"},
                    "spec": {
                        "maxReplicas": 3,
                        "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
                    },
                },
            ).spec.min_replicas
        ),
        "^1$",
    ),
    Call("leases are optimistic", lambda c: c.stale_lease(), "Exception 409 Conflict"),
    Call("server-side apply", lambda c: c.apply(MAP, "one").data, "{'x': '1'}"),
    Call("a conflict", lambda c: c.apply(MAP | {"data": {"x": "2"}}, "two"), "Exception 409 Conflict"),
    Call(
        "forced",
        lambda c: c.apply(MAP | {"data": {"x": "2"}}, "two", force=True).metadata.managed_fields[0].manager,
        "^(one|two)$",
    ),
    Call("watch by name", lambda c: c.events(field_selector="metadata.name=a"), r"^\[\('ADDED', 'a'\)\]$"),
    Call(
        "watch from now",
        lambda c: c.events(
            resource_version=c.core.list_namespaced_config_map("default").metadata.resource_version
        ),
        r"^\[\]$",
    ),
    Call(
        "a definition",
        lambda c: utils.create_from_dict(c.api, c.definition)[0].metadata.name,
        "^widgets.example.net$",
    ),
    Call(
        "definitions",
        lambda c: [d.spec.names.kind for d in c.crds.list_custom_resource_definition().items],
        "Widget",
    ),
    Call(
        "a custom object",
        lambda c: c.custom.create_namespaced_custom_object(*WIDGETS, GADGET)["spec"]["color"],
        "^red$",
    ),
    Call(
        "a bad custom object",
        lambda c: c.custom.patch_namespaced_custom_object(*WIDGETS, "w", {"spec": {"size": "x"}}),
        "Exception 422 Invalid",
    ),
    Call(
        "its scale",
        lambda c: c.custom.patch_namespaced_custom_object_scale(*WIDGETS, "w", {"spec": {"replicas": 2}})[
            "spec"
        ],
        "{'replicas': 2}",
    ),
    Call(
        "all of a cluster",
        lambda c: len(c.custom.list_cluster_custom_object("example.net", "v1", "widgets")["items"]),
        "^1$",
    ),
    Call(
        "dynamic get",
        lambda c: c.dynamic("Widget", "example.net/v1").get(name="w", namespace="default").spec.size,
        "^1$",
    ),
    Call(
        "dynamic merge patch",
        lambda c: (
            c.dynamic("ConfigMap")
            .patch(
                name="a",
                namespace="default",
                body={"data": {"y": "1"}},
                content_type="application/merge-patch+json",
            )
            .data.y
        ),
        "^1$",
    ),
    Call(
        "dynamic watch",
        lambda c: [e["type"] for e in c.dynamic("ConfigMap").watch(namespace="default", timeout=1)],
        "'ADDED'",
    ),
    Call(
        "dynamic 404",
        lambda c: c.dynamic("ConfigMap").get(name="none", namespace="default"),
        "NotFoundError 404",
    ),
    Call(
        "dynamic delete by label",
        lambda c: c.dynamic("ConfigMap").delete(namespace="default", label_selector="no=thing").kind,
        "^ConfigMapList$",
    ),
    Call(
        "an event",
        lambda c: (
            c.core.create_namespaced_event(
                "default",
                {
                    "metadata": {"generateName": "e-"},
                    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
                    "reason": "R",
                },
            ).metadata.name
        ),
        "^e-.{5}$",
    ),
    Call(
        "an event of elsewhere",
        lambda c: c.core.create_namespaced_event(
            "default",
            {
                "metadata": {"generateName": "e-"},
                "involvedObject": {"kind": "Pod", "name": "p", "namespace": "kube-system"},
                "reason": "R",
            },
        ),
        "Exception 422 Invalid",
    ),
    Call(
        "a shared informer",
        lambda c: c.informed(),
        "'default', 'kube-node-lease', 'kube-public', 'kube-system'",
    ),
    Call(
        "eviction",
        lambda c: (
            c.core.create_namespaced_pod_eviction(
                "p",
                "default",
                client.V1Eviction(metadata=client.V1ObjectMeta(name="p")),
                _preload_content=False,
            ).status
        ),
        "^201$",
    ),
    Call(
        "collection", lambda c: c.core.delete_collection_namespaced_event("default").kind, "EventList|Status"
    ),
)
