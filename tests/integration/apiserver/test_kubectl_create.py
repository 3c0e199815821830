"""kubectl's generators and questions, whose bodies are protobuf."""

import json

import requests

from deltawire.apiserver.server import ApiServer
from tests.support.servers import Kubectl

CREATED = [
    ("configmap cm --from-literal=a=1", "configmap/cm"),
    ("secret generic s --from-literal=a=b", "secret/s"),
    ("namespace foo", "namespace/foo"),
    ("serviceaccount robot", "serviceaccount/robot"),
    ("deployment d --image=nginx", "deployment.apps/d"),
    ("job j --image=busybox -- true", "job.batch/j"),
    ("cronjob cj --image=busybox --schedule=*/5_*_*_*_*", "cronjob.batch/cj"),
    ("service clusterip svc --tcp=80:http", "service/svc"),
    ("role r --verb=get,list --resource=pods", "role.rbac.authorization.k8s.io/r"),
    ("rolebinding rb --role=r --user=bob", "rolebinding.rbac.authorization.k8s.io/rb"),
    ("clusterrole cr --verb=get --non-resource-url=/healthz", "clusterrole.rbac.authorization.k8s.io/cr"),
    ("clusterrolebinding crb --clusterrole=cr --group=g", "clusterrolebinding.rbac.authorization.k8s.io/crb"),
    ("quota q --hard=cpu=1,pods=2", "resourcequota/q"),
    ("priorityclass pc --value=0 --description=low", "priorityclass.scheduling.k8s.io/pc"),
    ("ingress ing --rule=example.net/path=svc:80", "ingress.networking.k8s.io/ing"),
    ("poddisruptionbudget pdb --selector=app=d --min-available=50%", "poddisruptionbudget.policy/pdb"),
]
# What Go writes for values that were never set.
# Empty objects are what real servers write, too.
NOISE = ('creationTimestamp": null', '": ""', '": null', '": false')


def test_kubectl_creates_without_noise(kubectl: Kubectl) -> None:
    for command, name in CREATED:
        words = [word.replace("_", " ") for word in command.split()]
        assert kubectl.run("create", *words).stdout == f"{name} created\n"
    listed = json.loads(kubectl.run("get", *(name for _, name in CREATED), "-o", "json").stdout)["items"]
    assert len(listed) == len(CREATED)
    # Jobs are given this one by real servers, too.
    stored = json.dumps(listed).replace('"suspend": false', "")
    assert not [noise for noise in NOISE if noise in stored], stored
    again = kubectl.run("create", "configmap", "cm", check=False)
    assert (again.returncode, "already exists" in again.stderr) == (1, True)


def test_what_was_created_reads_back(kubectl: Kubectl) -> None:
    kubectl.run("create", "secret", "generic", "s", "--from-literal=a=b")
    assert kubectl.run("get", "secret", "s", "-o", "jsonpath={.data.a}").stdout == "Yg=="
    kubectl.run("create", "deployment", "d", "--image=nginx", "--replicas=0")
    path = "{.spec.template.spec.containers[0].image} {.spec.replicas} {.metadata.labels.app}"
    assert kubectl.run("get", "deploy", "d", "-o", f"jsonpath={path}").stdout == "nginx 0 d"
    kubectl.run("create", "service", "clusterip", "svc", "--tcp=80:8080")
    port = json.loads(kubectl.run("get", "svc", "svc", "-o", "json").stdout)["spec"]["ports"][0]
    assert port == {"name": "80-8080", "port": 80, "protocol": "TCP", "targetPort": 8080}


def test_a_dry_run_creates_nothing(kubectl: Kubectl) -> None:
    done = kubectl.run("create", "configmap", "cm", "--from-literal=a=1", "--dry-run=server")
    assert done.stdout == "configmap/cm created (server dry run)\n"
    assert kubectl.run("get", "cm", "cm", check=False).returncode == 1


def test_autoscalers_are_seen_in_both_versions(kubectl: Kubectl, api_server: ApiServer) -> None:
    kubectl.run("create", "deployment", "d", "--image=nginx")
    done = kubectl.run("autoscale", "deploy", "d", "--max=3", "--cpu-percent=80")
    assert done.stdout == "horizontalpodautoscaler.autoscaling/d autoscaled\n"

    def spec(version: str) -> dict[str, object]:
        path = f"/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers/d"
        got = requests.get(api_server.url + path, timeout=10).json()
        assert got["apiVersion"] == f"autoscaling/{version}"
        found: dict[str, object] = got["spec"]
        return found

    assert spec("v1")["targetCPUUtilizationPercentage"] == 80
    target = {"type": "Utilization", "averageUtilization": 80}
    assert spec("v2")["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def test_everybody_may_do_everything(kubectl: Kubectl) -> None:
    assert kubectl.run("auth", "can-i", "list", "pods").stdout == "yes\n"
    assert kubectl.run("auth", "can-i", "delete", "nodes", "--as=bob").stdout == "yes\n"
    assert "*.*" in kubectl.run("auth", "can-i", "--list").stdout


def test_whoami_shows_the_user_and_the_one_it_acts_for(kubectl: Kubectl) -> None:
    assert "kubernetes-admin" in kubectl.run("auth", "whoami").stdout
    acting = kubectl.run("auth", "whoami", "--as=bob", "--as-group=dev", "-o", "json").stdout
    assert json.loads(acting)["status"]["userInfo"] == {
        "username": "bob",
        "groups": ["dev", "system:authenticated"],
    }


def test_a_token_of_a_service_account_is_reviewed_as_that_account(
    kubectl: Kubectl, api_server: ApiServer
) -> None:
    token = kubectl.run("create", "token", "default", "--duration=10m").stdout.strip()
    review = {"spec": {"token": token}}
    path = api_server.url + "/apis/authentication.k8s.io/v1/tokenreviews"
    status = requests.post(path, json=review, timeout=10).json()["status"]
    assert status["user"]["username"] == "system:serviceaccount:default:default"
    assert requests.post(path, json={"spec": {"token": "x.y.z"}}, timeout=10).json()["status"] == {
        "authenticated": False
    }
    short = kubectl.run("create", "token", "default", "--duration=1m", check=False)
    assert (short.returncode, "10 minutes" in short.stderr) == (1, True)


def test_an_unknown_kind_in_protobuf_is_an_unknown_format(api_server: ApiServer) -> None:
    answer = requests.post(
        api_server.url + "/api/v1/namespaces/default/configmaps",
        data=b"k8s\x00\x0a\x02\x0a\x00",
        headers={"Content-Type": "application/vnd.kubernetes.protobuf"},
        timeout=10,
    )
    assert (answer.status_code, answer.json()["reason"]) == (415, "UnsupportedMediaType")
    assert answer.json()["message"] == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )
