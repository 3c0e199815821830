"""kubectl for those who run clusters: nodes, rollouts, waiting, scaling, logs, certificates, roles, widgets."""

from base64 import b64encode

from tests.acceptance.apiserver import manifests
from tests.acceptance.apiserver.rows import Row, Scenario
from tests.support.signer import certificate_request


def certificate(name: str) -> str:
    """A CertificateSigningRequest of that name, with a real request in it."""
    encoded = b64encode(certificate_request(name)).decode()
    return manifests.CERTIFICATE_REQUEST.replace("NAME", name).replace("REQUEST", encoded)


NODES = Scenario(
    "nodes",
    (
        Row("create -f -", r"^node/n1 created\nnode/n2 created$", stdin=manifests.NODES),
        Row("get nodes", r"^n1 +Ready +<none> +\S+ +v1.32.4$"),
        Row(
            "get nodes -o wide",
            r"^n1 +Ready +<none> +\S+ +v1.32.4 +192.0.2.1 +<none> +Test OS +6.1.0 +containerd://1.7$",
        ),
        Row("label node n1 node-role.kubernetes.io/worker=", "^node/n1 labeled$"),
        Row("get nodes n1 n2 --no-headers", r"\An1 +Ready +worker .*\nn2 +Unknown +<none> "),
        Row("taint nodes n1 dedicated=db:NoSchedule", "^node/n1 tainted$"),
        Row(
            "taint nodes n1 dedicated=db:NoSchedule",
            r"already has dedicated taint\(s\) with same effect\(s\) and --overwrite is false",
            code=1,
        ),
        Row("taint nodes n1 dedicated=app:NoSchedule --overwrite", "^node/n1 modified$"),
        Row("describe node n1", r"^Taints: +dedicated=app:NoSchedule$(?s:.*)^Unschedulable: +false$"),
        Row("taint nodes --all team=a:PreferNoSchedule", "^node/n1 tainted\nnode/n2 tainted$"),
        Row("taint nodes n1 dedicated-", "^node/n1 untainted$"),
        Row("taint nodes n1 nosuch-", r'taint "nosuch" not found', code=1),
        Row("cordon n1", "^node/n1 cordoned$"),
        Row("cordon n1", "^node/n1 already cordoned$"),
        Row("get nodes --field-selector=spec.unschedulable=true -o name", r"\Anode/n1\n\Z"),
        Row("get node n1 --no-headers", r"\An1 +Ready,SchedulingDisabled "),
        Row("uncordon n1", "^node/n1 uncordoned$"),
        Row("apply -f -", "pod/worker created", stdin=manifests.POD_ON_N1),
        Row(
            "drain n1 --force --dry-run=server",
            r"^node/n1 cordoned \(server dry run\)(?s:.*)evicting pod default/worker \(server dry run\)",
        ),
        Row("drain n1", r"cannot delete .*default/worker", code=1),
        Row(
            "drain n1 --force",
            r"^node/n1 already cordoned$(?s:.*)^pod/worker evicted$(?s:.*)^node/n1 drained$",
        ),
        Row("delete node n2", '^node "n2" deleted$'),
    ),
)
ROLLOUTS = Scenario(
    "rollouts with controllers on",
    (
        Row("apply -f -", "deployment.apps/web created", stdin=manifests.DEPLOYMENT),
        Row("rollout status deploy/web --timeout=20s", r'^deployment "web" successfully rolled out$'),
        Row("get deploy web", r"^web +1/1 +1 +1 "),
        Row(
            "rollout status deploy/web --timeout=20s",
            "successfully rolled out",
            env=(("KUBE_FEATURE_WatchListClient", "true"),),
        ),
        Row("get pods -l app=web", r"^web-[a-z0-9]+-[a-z0-9]{5} +1/1 +Running +0 "),
        Row("get rs -l app=web", r"^web-[a-z0-9]+ +1 +1 +1 "),
        Row("set image deploy/web c=nginx:2", r"^deployment.apps/web image updated$"),
        Row("rollout status deploy/web --timeout=20s", r'^deployment "web" successfully rolled out$'),
        Row("rollout history deploy/web", r"^REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>$"),
        Row("rollout history deploy/web --revision=1", r"Image:\s+nginx:1$"),
        Row("rollout undo deploy/web", "^deployment.apps/web rolled back$"),
        Row("rollout status deploy/web --timeout=20s", "successfully rolled out"),
        Row("get deploy web -o jsonpath={..image}", r"\Anginx:1\Z"),
        Row("rollout history deploy/web", r"^2 +<none>\n3 +<none>$", unlike="^1 "),
        Row(
            "rollout undo deploy/web --to-revision=9",
            r"unable to find specified revision 9 in history",
            code=1,
        ),
        Row("rollout pause deploy/web", "^deployment.apps/web paused$"),
        Row("rollout pause deploy/web", "is already paused", code=1),
        Row("rollout resume deploy/web", "^deployment.apps/web resumed$"),
        Row("rollout restart deploy -l app=web", "^deployment.apps/web restarted$"),
        Row("rollout status deploy/web --timeout=20s", "successfully rolled out"),
        Row("scale deploy/web --replicas=3", "^deployment.apps/web scaled$"),
        Row("wait deploy/web --for=jsonpath={.status.readyReplicas}=3 --timeout=20s", "condition met$"),
        Row("wait deploy/web --for=condition=Available --timeout=20s", "condition met$"),
        Row("wait pods -l app=web --for=condition=Ready --timeout=20s", r"(pod/web-\S+ condition met\n){3}"),
        Row(
            "describe deploy web",
            r"^Replicas: +3 desired \| 3 updated \| 3 total \| 3 available \| 0 un(?s:.*)^NewReplicaSet: +web-",
        ),
        Row("delete deploy web", '^deployment.apps "web" deleted$'),
        Row(
            "wait pods -l app=web --for=delete --timeout=20s",
            r"\A(error: no matching resources found|(pod/\S+ condition met\n)*)",
        ),
        Row("get all", r"\ANAME .*\nservice/kubernetes +ClusterIP +10.0.0.1 .*\n\Z"),
        Row("rollout status deploy/nosuch", r'deployments.apps "nosuch" not found', code=1),
        Row("rollout pause sts/nosuch", r'statefulsets.apps "nosuch" not found', code=1),
    ),
    options={"controllers": True},
)
SET = Scenario(
    "set",
    (
        Row("apply -f -", "deployment.apps/web created", stdin=manifests.DEPLOYMENT),
        Row("apply -f -", "configmap/settings created", stdin=manifests.SHOP),
        Row("set env deploy/web COLOR=blue", "^deployment.apps/web env updated$"),
        Row(
            "set env deploy/web --list",
            "^# deployments? .*web, container c\nCOLOR=blue$|^# Deployment web, container c\nCOLOR=blue$",
        ),
        Row("set env deploy/web --from=configmap/settings --prefix=S_", "^deployment.apps/web env updated$"),
        Row(
            "get deploy web -o jsonpath={..env[1].valueFrom.configMapKeyRef}",
            r'\A\{"key":"color","name":"settings"\}\Z',
        ),
        Row("set env deploy/web COLOR-", "^deployment.apps/web env updated$"),
        Row("get deploy web -o jsonpath={..env[*].name}", r"\AS_COLOR\Z"),
        Row(
            "set resources deploy web -c=c --limits=cpu=200m,memory=64Mi --requests=cpu=100m",
            "^deployment.apps/web resource requirements updated$",
        ),
        Row("get deploy web -o jsonpath={..resources.limits.memory}", r"\A64Mi\Z"),
        Row("set serviceaccount deploy web robot", "^deployment.apps/web serviceaccount updated$"),
        Row("get deploy web -o jsonpath={..serviceAccountName}", r"\Arobot\Z"),
        Row("set selector svc web app=other", "^service/web selector updated$"),
        Row("get svc web -o jsonpath={.spec.selector}", r'\A\{"app":"other"\}\Z'),
        Row("set image deploy/web *=nginx:9", "^deployment.apps/web image updated$"),
        Row("set image deploy/web nosuch=nginx:9", r'unable to find container named "nosuch"', code=1),
        Row("set image deploy/web c=nginx:10 --dry-run=server", r"image updated \(server dry run\)$"),
        Row("get deploy web -o jsonpath={..image}", r"\Anginx:9\Z"),
        Row(
            "scale deploy/web --replicas=2 --current-replicas=9", r"Expected replicas to be 9, was 1", code=1
        ),
        Row("scale deploy/web --replicas=2", "^deployment.apps/web scaled$"),
        Row("scale -f - --replicas=4", "^deployment.apps/web scaled$", stdin=manifests.DEPLOYMENT),
        Row(
            "scale deploy/web --replicas=-1",
            r"--replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
            code=1,
        ),
        Row(
            "scale cm/settings --replicas=1",
            r"the server could not find the requested resource|could not find",
            code=1,
        ),
        Row("get deploy web -o jsonpath={.spec.replicas}", r"\A4\Z"),
        Row("rollout status deploy/web --watch=false", r"Waiting for deployment"),
        Row("expose deploy web --port=80 --name=w2", "^service/w2 exposed$"),
    ),
)
WAIT = Scenario(
    "wait and logs",
    (
        Row("apply -f -", "pod/db-1 created", stdin=manifests.SHOP),
        Row(
            "wait --for=jsonpath={.data.color}=blue cm/settings --timeout=20s",
            "^configmap/settings condition met$",
        ),
        Row(
            "wait --for=condition=Ready pod/web-1 --timeout=1s",
            r"timed out waiting for the condition on pods/web-1",
            code=1,
        ),
        Row("wait --for=delete pod/nosuch --timeout=5s", r"\A\Z"),
        Row("wait --for=create cm/nosuch --timeout=1s", r"timed out", code=1),
        Row("wait --for=create cm/settings --timeout=5s", r"^configmap/settings condition met$"),
        Row(
            "wait --for=condition=Ready pod -l app=none --timeout=1s",
            r"^error: no matching resources found$",
            code=1,
        ),
        Row(
            "wait --for=condition=Ready pod/nosuch --timeout=1s",
            r'\(NotFound\): pods "nosuch" not found',
            code=1,
        ),
        Row("logs web-1 --tail=1", r"\Asecond\n\Z"),
        Row("logs -l part-of=shop --prefix --tail=1", r"^\[pod/web-1/c\] second$"),
        Row("logs web-1 -c c --limit-bytes=5", r"\Afirst\Z"),
        Row("logs web-1 --timestamps", r"^\d{4}-\d\d-\d\dT\S+Z? first$"),
        Row("logs nosuch", r'pods "nosuch" not found', code=1),
        Row("logs web-1 -c nosuch", r"container nosuch is not valid for pod web-1", code=1),
        Row("logs web-1 --previous", r'previous terminated container "c" in pod "web-1" not found', code=1),
        Row("logs svc/web --tail=1", r"second"),
        Row("debug web-1 --image=busybox --target=c --attach=false", r"debugger-[a-z0-9]{5}"),
        Row("get pod web-1 -o jsonpath={.spec.ephemeralContainers[0].targetContainerName}", r"\Ac\Z"),
        Row("debug web-1 --copy-to=copy --set-image=c=nginx:debug --attach=false", r""".*"""),
        Row("get pod copy -o jsonpath={..image}", r"nginx:debug"),
        Row("debug node/nosuch --image=busybox --attach=false", r'nodes "nosuch" not found', code=1),
    ),
    given=manifests.WEB_POD,
    logs={"web-1": "first\nsecond"},
)
ACCESS = Scenario(
    "certificates and roles",
    (
        Row(
            "create -f -", "certificatesigningrequest.certificates.k8s.io/c1 created", stdin=certificate("c1")
        ),
        Row(
            "create -f -", "certificatesigningrequest.certificates.k8s.io/c2 created", stdin=certificate("c2")
        ),
        Row("get csr", r"^c1 +\S+ +kubernetes.io/kube-apiserver-client +kubernetes-admin +24h +Pending$"),
        Row("certificate approve c1", "^certificatesigningrequest.certificates.k8s.io/c1 approved$"),
        Row("certificate deny c2", "^certificatesigningrequest.certificates.k8s.io/c2 denied$"),
        Row("get csr --no-headers", r"^c1 .* Approved(,Issued)?\nc2 .* Denied$"),
        Row("describe csr c1", r"^Requesting User: +kubernetes-admin$(?s:.*)^Status: +Approved"),
        Row(
            "certificate approve nosuch",
            r'certificatesigningrequests.certificates.k8s.io "nosuch" not found',
            code=1,
        ),
        Row(
            "auth reconcile -f -",
            r"^role\S+/reader reconciled$(?s:.*)^rolebinding.rbac.authorization.k8s.io/readers reconciled$",
            stdin=manifests.ROLE,
        ),
        Row(
            "auth reconcile -f -",
            r"^role.rbac.authorization.k8s.io/reader reconciled$(?s:.*)missing rules added",
            stdin=manifests.ROLE.replace("get, list", "get, list, watch"),
        ),
        Row("get role reader -o jsonpath={.rules[*].verbs}", "watch"),
        Row("auth whoami -o jsonpath={.status.userInfo.username}", r"\Akubernetes-admin\Z"),
        Row("get rolebindings -o wide", r"^readers +Role/reader +\S+ +bob"),
    ),
)
CUSTOM = Scenario(
    "custom resources",
    (
        Row("apply -f -", "widgets.example.net created", stdin=manifests.WIDGETS),
        Row("wait --for=condition=Established crd widgets.example.net --timeout=20s", "condition met$"),
        Row("apply -f -", "widget.example.net/w1 created", stdin=manifests.WIDGET),
        Row("apply -f -", "widget.example.net/w1 unchanged", stdin=manifests.WIDGET),
        Row("get widgets,wg --no-headers", r"\A(widget.example.net/)?w1 +3\n"),
        Row("get wg --field-selector=spec.color=red -o name", r"\Awidget.example.net/w1\n\Z"),
        Row("get wg --field-selector=spec.size=3", r"field label not supported: spec.size", code=1),
        Row("get all", r"^widget.example.net/w1 +3$"),
        Row("scale wg w1 --replicas=4", "^widget.example.net/w1 scaled$"),
        Row("label wg --all a=b", "^widget.example.net/w1 labeled$"),
        Row(
            """patch wg w1 --type=merge -p '{"spec":{"size":"big"}}'""",
            r'^The Widget "w1" is invalid: spec.size: Invalid value: "string": spec.size in body must be of type int',
            code=1,
        ),
        Row(
            """patch wg w1 --type=merge -p '{"spec":{"size":99}}'""",
            r"spec.size: Invalid value: 99: spec.size in body should be less than or equal to 9",
            code=1,
        ),
        Row(
            """patch wg w1 --type=merge -p '{"spec":{"color":"green"}}'""",
            r'spec.color: Unsupported value: "green": supported values: "red", "blue"',
            code=1,
        ),
        Row(
            """patch wg w1 --type=merge -p '{"spec":{"parts":[{"count":1}]}}'""",
            r"spec.parts\[0\].name: Required value",
            code=1,
        ),
        Row(
            """patch wg w1 --type=json -p '[{"op":"remove","path":"/spec/size"}]'""",
            r"spec.size: Required value",
            code=1,
        ),
        Row(
            """patch wg w1 --type=merge -p '{"spec":{"parts":[{"name":"a"},{"name":"a"}]}}'""",
            r"spec.parts\[1\]: Duplicate value: ",
            code=1,
        ),
        Row(
            """patch wg w1 --subresource=status --type=merge -p '{"status":{"replicas":4,"note":"x"}}'""",
            "widget.example.net/w1 patched",
        ),
        Row("wait wg/w1 --for=jsonpath={.status.replicas}=4 --timeout=20s", "condition met$"),
        Row(
            "apply --server-side --field-manager=other -f -",
            r'with 1 conflict: conflict with "kubectl-client-side-apply" using example.net/v1: .spec.size',
            code=1,
            stdin=manifests.WIDGET.replace("size: 3", "size: 4"),
        ),
        Row(
            "apply --server-side --field-manager=other --force-conflicts -f -",
            "serverside-applied",
            stdin=manifests.WIDGET.replace("size: 3", "size: 4"),
        ),
        Row(
            "edit wg w1",
            "^widget.example.net/w1 edited$",
            env=(("KUBE_EDITOR", "sed -i 's/size: 4/size: 5/'"),),
        ),
        Row("replace -f -", r"metadata.resourceVersion: Invalid value: 0|replaced", stdin=manifests.WIDGET),
        Row("delete wg w1", '^widget.example.net "w1" deleted$'),
        Row(
            "delete crd widgets.example.net",
            'customresourcedefinition.apiextensions.k8s.io "widgets.example.net" deleted',
        ),
        Row(
            "get wg",
            r"the server doesn't have a resource type \"wg\"|could not find the requested resource",
            code=1,
        ),
        Row(
            "apply -f -",
            r"could not find the requested resource|no matches for kind \"Widget\"",
            code=1,
            stdin=manifests.WIDGET,
        ),
        Row(
            "apply -f -",
            r'metadata.name: Invalid value: "wrong.example.net": must be spec.names.plural\+"."\+spec.group',
            code=1,
            stdin=manifests.WIDGETS.replace("{name: widgets.example.net}", "{name: wrong.example.net}"),
        ),
        Row(
            "apply -f -",
            r"is invalid: .*spec.versions\[0\].schema.openAPIV3Schema: Required value",
            code=1,
            stdin=manifests.WIDGETS.split("    subresources")[0],
        ),
    ),
)
SCENARIOS = (NODES, ROLLOUTS, SET, WAIT, ACCESS, CUSTOM)
