"""kr8s, which finds everything by discovery."""

from typing import Any

import kr8s
from kr8s.objects import ConfigMap, Deployment, Node, Pod, Service, new_class

from tests.acceptance.apiserver.calls import Call
from tests.acceptance.apiserver.python_calls_official import DEPLOYMENT, GADGET, MAP, POD


class Kr8s:
    """kr8s bound to one server."""

    def __init__(self, kubeconfig: str) -> None:
        self.api = kr8s.api(kubeconfig=kubeconfig)

    def make(self, kind: Any, body: dict[str, Any]) -> Any:
        """Create and give the object back."""
        made = kind(
            {
                "metadata": {"namespace": "default", **body["metadata"]},
                **{k: v for k, v in body.items() if k != "metadata"},
            },
            api=self.api,
        )
        made.create()
        return made

    def one(self, kind: Any, name: str) -> Any:
        return kind.get(name, namespace="default", api=self.api)

    def names(self, kind: str, **query: Any) -> list[str]:
        return sorted(o.name for o in kr8s.get(kind, api=self.api, **query))

    def change(self, kind: Any, name: str, act: Any) -> Any:
        """Do something with an object, and read it anew."""
        found = self.one(kind, name)
        act(found)
        return self.one(kind, name).raw

    def watched(self) -> list[tuple[str, str]]:
        found = []
        for kind, obj in kr8s.watch("configmaps", namespace="default", api=self.api):
            found.append((kind, obj.name))
            if len(found) == 1:
                self.one(ConfigMap, "a").annotate({"seen": "yes"})
            if len(found) == 2:
                break
        return found

    def ready(self) -> Any:
        conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
        self.one(Pod, "p").patch({"status": {"conditions": conditions}}, subresource="status")
        found = self.one(Pod, "p")
        found.wait("condition=Ready", timeout=20)
        return found.ready()

    def gone(self) -> Any:
        found = self.one(ConfigMap, "a")
        found.delete()
        return found.exists()

    def owned(self) -> Any:
        owner, owned = (
            self.one(Deployment, "web"),
            self.make(ConfigMap, MAP | {"metadata": {"name": "owned"}}),
        )
        owner.adopt(owned)
        owner.delete()
        return owned.exists()


Widget = new_class("Widget", "example.net/v1", namespaced=True, scalable=True)
NODE = {"metadata": {"name": "n1", "namespace": None}}

CALLS = (
    Call("version", lambda c: c.api.version()["gitVersion"], r"^v1\.35"),
    Call("resources", lambda c: [r["name"] for r in c.api.api_resources()], "'widgets'"),
    Call("a kind by its short name", lambda c: c.api.lookup_kind("deploy"), "deployments?(.|/)apps"),
    Call("an unknown kind", lambda c: c.api.lookup_kind("nosuch"), "ValueError"),
    Call("all namespaces", lambda c: c.names("namespaces"), "'default', 'kube-node-lease'"),
    Call("create", lambda c: c.make(ConfigMap, MAP).metadata.uid, "-"),
    Call("create again", lambda c: c.make(ConfigMap, MAP), "ServerError 409 AlreadyExists"),
    Call(
        "by labels",
        lambda c: c.names("configmaps", namespace="default", label_selector={"no": "thing"}),
        r"^\[\]$",
    ),
    Call(
        "by fields",
        lambda c: c.names("configmaps", namespace=kr8s.ALL, field_selector={"metadata.name": "a"}),
        r"^\['a'\]$",
    ),
    Call(
        "label",
        lambda c: c.change(ConfigMap, "a", lambda o: o.label({"l": "1"}))["metadata"]["labels"],
        "{'l': '1'}",
    ),
    Call(
        "take the label away",
        lambda c: c.change(ConfigMap, "a", lambda o: o.remove_label("l"))["metadata"],
        "^(?!.*labels)",
    ),
    Call(
        "a merge patch",
        lambda c: c.change(ConfigMap, "a", lambda o: o.patch({"data": {"y": "2"}}))["data"],
        "'y': '2'",
    ),
    Call(
        "a JSON patch",
        lambda c: c.change(
            ConfigMap, "a", lambda o: o.patch([{"op": "remove", "path": "/data/y"}], type="json")
        )["data"],
        r"^\{'x': '1'\}$",
    ),
    Call(
        "a bad patch",
        lambda c: c.one(ConfigMap, "a").patch([{"op": "remove", "path": "/data/no"}], type="json"),
        "ServerError 422",
    ),
    Call("watch", lambda c: c.watched(), r"^\[\('ADDED', 'a'\), \('MODIFIED', 'a'\)\]$"),
    Call("read anew", lambda c: c.one(ConfigMap, "a").annotations, "{'seen': 'yes'}"),
    Call("delete", lambda c: c.gone(), "^False$"),
    Call("what is gone", lambda c: c.one(ConfigMap, "a"), "NotFoundError"),
    Call("a pod", lambda c: c.make(Pod, POD).status.phase, "^Pending$"),
    Call("its log", lambda c: list(c.one(Pod, "talker").logs(tail_lines=1)), r"^\['second'\]$"),
    Call("a command in it", lambda c: c.one(Pod, "talker").exec(["ls"]).stdout, "index.html"),
    Call("wait until it is ready", lambda c: c.ready(), "^True$"),
    Call("a deployment", lambda c: c.make(Deployment, DEPLOYMENT).replicas, "^1$"),
    Call(
        "scale",
        lambda c: c.change(Deployment, "web", lambda o: o.patch({"spec": {"replicas": 2}}))["spec"][
            "replicas"
        ],
        "^2$",
    ),
    Call("an owner takes what it owns with it", lambda c: c.owned(), "^False$"),
    Call(
        "a service",
        lambda c: c.make(Service, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}).spec.type,
        "^ClusterIP$",
    ),
    Call("a node", lambda c: c.make(Node, NODE).name, "^n1$"),
    Call("cordon", lambda c: (c.one(Node, "n1").cordon(), c.one(Node, "n1").unschedulable), "True"),
    Call(
        "taint",
        lambda c: c.change(Node, "n1", lambda o: o.taint("k", "v", effect="NoSchedule"))["spec"]["taints"],
        "'key': 'k'",
    ),
    Call("a custom object", lambda c: c.make(Widget, GADGET).spec.color, "^red$"),
    Call(
        "its scale",
        lambda c: c.change(Widget, "w", lambda o: o.patch({"spec": {"replicas": 2}}, subresource="scale"))[
            "spec"
        ]["replicas"],
        "^2$",
    ),
    Call("custom objects", lambda c: c.names("widgets.example.net", namespace="default"), r"^\['w'\]$"),
)
