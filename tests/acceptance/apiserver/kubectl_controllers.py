"""kubectl where controllers are on: pods run from `kubectl run` on, workloads get their pods, nodes are emptied."""

from tests.acceptance.apiserver import manifests
from tests.acceptance.apiserver.rows import Row, Scenario

PODS = Scenario(
    "pods that run, jobs that end",
    (
        Row("get nodes -o wide", r"^node-0 +Ready +<none> +\S+ +v1.35.0 +10.0.0.1 .* containerd://"),
        Row("run web --image=nginx --port=80 --expose", r"^pod/web created$"),
        Row("wait pod/web --for=condition=Ready --timeout=20s", "condition met$"),
        Row("get pod web -o wide", r"^web +1/1 +Running +0 +\S+ +10\.1\.[01]\.2 +node-[01] "),
        Row("exec web -- echo hi", r"\Ahi\n\Z"),
        Row("get endpointslices -l kubernetes.io/service-name=web", r"^web-\w+ +IPv4 +80 +10\.1\.[01]\.2 "),
        Row(
            "get --raw /api/v1/namespaces/default/pods/web:80/proxy/", r"\Adefault/web answers on port 80\n\Z"
        ),
        Row("get --raw /api/v1/namespaces/default/services/web:80/proxy/", r"answers on port 80$"),
        Row("run hello --image=busybox --restart=Never -- echo hi there", "created$"),
        Row("wait pod/hello --for=jsonpath={.status.phase}=Succeeded --timeout=20s", "condition met$"),
        Row("logs hello", r"\Ahi there\n\Z"),
        Row("create job good --image=busybox -- echo from the job", "created$"),
        Row("wait job/good --for=condition=Complete --timeout=20s", "condition met$"),
        Row("logs job/good", r"\Afrom the job\n\Z"),
        Row("create -f -", "created$", stdin=manifests.FAILING_JOB),
        Row("wait job/bad --for=condition=Failed --timeout=20s", "condition met$"),
        Row("get job bad -o jsonpath={.status.failed}", r"\A2\Z"),
        Row("delete pod web --timeout=20s", r'^pod "web" deleted$'),
        Row("create namespace shop", "created$"),
        Row("create deployment d -n shop --image=nginx --replicas=2", "created$"),
        Row("rollout status deploy/d -n shop --timeout=20s", "successfully rolled out$"),
        Row("delete deployment d -n shop --cascade=foreground --timeout=20s", "deleted$"),
        Row("get all -n shop", "No resources found in shop namespace."),
        Row("get configmap -n shop", r"^kube-root-ca.crt +1 "),
        Row("delete namespace shop --timeout=20s", "deleted$"),
    ),
    options={"controllers": True, "objects": {"nodes": 2}},
)
SETS = Scenario(
    "sets with numbers and on each node",
    (
        Row("apply -f -", "created$", stdin=manifests.SETS),
        Row("rollout status sts/db --timeout=20s", "roll out complete|rolling update complete"),
        Row("rollout status ds/agent --timeout=20s", "successfully rolled out$"),
        Row("get sts,ds", r"^statefulset.apps/db +2/2 (?s:.*)^daemonset.apps/agent +2 +2 +2 +2 +2 "),
        Row("get pvc -o name", r"\Apersistentvolumeclaim/data-db-0\npersistentvolumeclaim/data-db-1\n\Z"),
        Row("get pods -l app=db -o name", r"\Apod/db-0\npod/db-1\n\Z"),
        Row("get pdb db", r"^db +1 +N/A +1 "),
        Row("set image sts/db c=db:2", "updated$"),
        Row("rollout status sts/db --timeout=20s", "roll out complete|rolling update complete"),
        Row("get pods -l app=db -o jsonpath={..image}", r"\Adb:2 db:2", unlike="db:1"),
        Row("rollout history sts/db", r"^1 +<none>\n2 +<none>$"),
        Row("cordon node-0", "cordoned$"),
        Row("get nodes", r"^node-0 +Ready,SchedulingDisabled "),
        Row("get node node-0 -o jsonpath={.spec.taints}", "node.kubernetes.io/unschedulable"),
        Row("drain node-0 --ignore-daemonsets --timeout=25s", "drained$"),
        Row(
            "wait pod -l app=db --for=jsonpath={.spec.nodeName}=node-1 --timeout=20s",
            r"^pod/db-0 condition met\npod/db-1 condition met$",
        ),
        Row("uncordon node-0", "uncordoned$"),
        Row("taint nodes node-1 k=v:NoExecute", "tainted$"),
        Row("rollout status sts/db --timeout=20s", "roll out complete|rolling update complete"),
        Row("delete node node-1", "deleted$"),
        Row("rollout status ds/agent --timeout=20s", "successfully rolled out$"),
        Row("scale sts/db --replicas=1", "scaled$"),
        Row("wait pod/db-1 --for=delete --timeout=20s", r"\A(pod/db-1 condition met\n)?\Z"),
    ),
    options={"controllers": True, "objects": {"nodes": 2}},
)
SCENARIOS = (PODS, SETS)
