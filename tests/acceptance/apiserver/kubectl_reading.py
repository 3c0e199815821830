"""kubectl's ways to look: output forms, selectors, several kinds at once, describe, explain, discovery."""

from tests.acceptance.apiserver import manifests
from tests.acceptance.apiserver.rows import Row, Scenario

NAMES = "{range .items[*]}{.metadata.name}={.spec.nodeName};{end}"
GO_NAMES = '{{range .items}}{{.metadata.name}}{{\\"\\n\\"}}{{end}}'

GET = Scenario(
    "get in every form",
    (
        Row(
            "apply -f -", r"^pod/web-1 created\npod/db-1 created\nservice/web created\n", stdin=manifests.SHOP
        ),
        Row(
            "get pods -o wide",
            r"^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES$",
        ),
        Row("get pods -o wide", r"^web-1 +0/1 +Pending +0 +\S+ +<none> +n1 +<none> +<none>$"),
        Row("get pods --show-labels", r"^db-1 .* app=db,part-of=shop,tier=back$"),
        Row("get pods -L app,tier", r"AGE +APP +TIER\n(?s:.*)^web-1 .* web +front$"),
        Row(
            "get pods -o custom-columns=N:.metadata.name,IMAGE:.spec.containers[*].image",
            r"\AN +IMAGE\ndb-1 +postgres:16\nweb-1 +nginx:1.27\n\Z",
        ),
        Row(f'get pods -o "go-template={GO_NAMES}"', r"\Adb-1\nweb-1\n\Z"),
        Row(f'get pods -o "jsonpath={NAMES}"', r"\Adb-1=;web-1=n1;\Z"),
        Row('get pods -o "jsonpath-as-json={.items[*].metadata.name}"', r'\A\[\s+"db-1",\s+"web-1"\s+\]'),
        Row("get pods --sort-by=.spec.containers[0].image --no-headers", r"\Aweb-1 .*\ndb-1 "),
        Row("get pods --sort-by={.metadata.labels.tier} -o name", r"\Apod/db-1\npod/web-1\n\Z"),
        Row("get pods --field-selector=spec.nodeName=n1,status.phase!=Running -o name", r"\Apod/web-1\n\Z"),
        Row(
            "get pods --field-selector=spec.restartPolicy=Always,metadata.name!=db-1 -o name",
            r"\Apod/web-1\n\Z",
        ),
        Row(
            "get pods,svc,cm -l part-of=shop -o name",
            r"\Apod/db-1\npod/web-1\nservice/web\nconfigmap/settings\n\Z",
        ),
        Row("get all -l part-of=shop", r"^service/web +ClusterIP +\S+ +<none> +80/TCP"),
        Row(
            "get -f - -o name",
            r"\Apod/web-1\npod/db-1\nservice/web\nconfigmap/settings\n\Z",
            stdin=manifests.SHOP,
        ),
        Row(
            "get pods web-1 nosuch",
            r'^web-1 (?s:.*)Error from server \(NotFound\): pods "nosuch" not found$',
            code=1,
        ),
        Row("get pods -l 'app in (web,db),tier notin (back)' -o name", r"\Apod/web-1\n\Z"),
        Row("get pods -l '!app'", r"^No resources found in default namespace\.$"),
        Row("get pods -l 'app=web,tier' -o name", r"\Apod/web-1\n\Z"),
        Row("get pod/web-1 service/web -o name", r"\Apod/web-1\nservice/web\n\Z"),
        Row("get pods --no-headers -A", r"\Adefault +db-1 "),
        Row("get pod web-1 -o yaml --show-managed-fields", r"manager: kubectl-client-side-apply"),
        Row("get pod web-1 -o yaml", r"^kind: Pod$", unlike="managedFields|null"),
        Row("get --raw /api/v1/namespaces/default/pods/web-1", r'\A\{.*"name":"web-1"'),
        Row(
            "get --raw /nosuch",
            r"Error from server \(NotFound\): the server could not find the requested",
            code=1,
        ),
        Row("get pod web-1 --subresource=status -o jsonpath={.status.phase}", r"\APending\Z"),
        Row("get svc web -o wide", r"^web +ClusterIP +\S+ +<none> +80/TCP +\S+ +app=web$"),
        Row("get cm settings -o template --template={{.data.color}}", r"\Ablue\Z"),
        Row(
            "get pods -o nosuch", r"^error: unable to match a printer suitable for the output format", code=1
        ),
        Row("get pods --field-selector=spec.color=red", r"field label not supported: spec.color", code=1),
        Row("get pods -l 'app in web'", r"unable to parse requirement", code=1),
        Row("get pods.v1. web-1 -o name", r"\Apod/web-1\n"),
        Row("get nosuch.v9.apps", r"the server doesn't have a resource type", code=1),
        Row("get ns default -o jsonpath={.status.phase}", r"\AActive\Z"),
        Row("get pods -n nosuch", r"^No resources found in nosuch namespace\.$"),
    ),
)
EVENTS = Scenario(
    "events",
    (
        Row("get events", r"^No resources found in default namespace\.$"),
        Row("apply -f -", r"event/web-1.1 created", stdin=manifests.EVENT),
        Row(
            "get events",
            r"^LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n\S+ +Warning +BackOff +pod/web-1 +Back-off",
        ),
        Row(
            "get events --field-selector=involvedObject.name=web-1,type=Warning -o name", r"\Aevent/web-1.1\n"
        ),
        Row("get events --field-selector=reason=Killing", r"No resources found"),
        Row(
            "get ev -o wide",
            r"SUBOBJECT +SOURCE +MESSAGE +FIRST SEEN +COUNT +NAME\n.* kubelet, n1 .* 3 +web-1.1",
        ),
        Row("events --for pod/web-1", r"Warning +BackOff +Pod/web-1 +Back-off restarting"),
        Row("events --types=Normal", r"No events found"),
        Row("get events.v1.events.k8s.io web-1.1 -o jsonpath={.regarding.name}{.note}", r"\Aweb-1Back-off"),
    ),
)
DESCRIBE = Scenario(
    "describe of common kinds",
    (
        Row("apply -f -", "web-1 created", stdin=manifests.SHOP),
        Row("apply -f -", "event/web-1.1 created", stdin=manifests.EVENT),
        Row("apply -f -", "endpointslice.discovery.k8s.io/web-abc created", stdin=manifests.ENDPOINTS),
        Row("apply -f -", "node/n1 created", stdin=manifests.NODES),
        Row("apply -f -", "pod/worker created", stdin=manifests.POD_ON_N1),
        Row("apply -f -", "persistentvolumeclaim/data created", stdin=manifests.STORAGE),
        Row("apply -f -", "networkpolicy.networking.k8s.io/deny created", stdin=manifests.POLICY),
        Row("apply -f -", "rolebinding.rbac.authorization.k8s.io/readers created", stdin=manifests.ROLE),
        Row("apply -f -", "statefulset.apps/db created", stdin=manifests.STATEFUL_SET),
        Row("apply -f -", "daemonset.apps/agent created", stdin=manifests.DAEMON_SET),
        Row("apply -f -", "widgets.example.net created", stdin=manifests.WIDGETS),
        Row("apply -f -", "widget.example.net/w1 created", stdin=manifests.WIDGET),
        Row("create job j --image=busybox -- true", "job.batch/j created"),
        Row("create cronjob cj --image=busybox --schedule='*/5 * * * *' -- true", "cronjob.batch/cj created"),
        Row("create quota q --hard=pods=5,cpu=2", "resourcequota/q created"),
        Row("create ingress ing --rule=example.net/path*=web:http", "ingress.networking.k8s.io/ing created"),
        Row(
            "create pdb keep --selector=app=web --min-available=1", "poddisruptionbudget.policy/keep created"
        ),
        Row(
            "describe pod web-1",
            r"^    Port: +80/TCP$(?s:.*)^QoS Class: +BestEffort$(?s:.*)^Events: +<none>$",
        ),
        Row(
            "describe node n1",
            r"^Non-terminated Pods: +\(2 in total\)$(?s:.*)^  cpu +250m \(6%\) +500m \(12%\)$",
        ),
        Row("describe node n1", r"^Roles: +<none>$(?s:.*)^  InternalIP: +192.0.2.1$"),
        Row(
            "describe svc web",
            r"^Selector: +app=web$(?s:.*)^TargetPort: +8080/TCP$(?s:.*)^Endpoints: +10.1.0.7:8080$",
        ),
        Row("describe ingress ing", r"^ +example.net +\n? *\n? */path +web:http \(10.1.0.7:8080\)$"),
        Row("describe quota q", r"^Name: +q$(?s:.*)^Resource +Used +Hard$"),
        Row(
            "describe crd widgets.example.net",
            r"^Kind: +CustomResourceDefinition$(?s:.*)Group: +example.net$",
        ),
        Row("describe widget w1", r"^Kind: +Widget$(?s:.*)^  Size: +3$"),
        Row("describe job j", r"^Parallelism: +1$(?s:.*)^Completions: +1$(?s:.*)Image: +busybox$"),
        Row("describe cronjob cj", r"^Schedule: +\*/5 \* \* \* \*$(?s:.*)^Concurrency Policy: +Allow$"),
        Row("describe pvc data", r"^StorageClass: +fast$(?s:.*)^Status: +Pending$"),
        Row("describe pv disk-1", r"^Capacity: +5Gi$"),
        Row("describe sc fast", r"^IsDefaultClass: +Yes$(?s:.*)^Provisioner: +example.net/disk$"),
        Row("describe sa default", r"^Name: +default$(?s:.*)^Tokens: +<none>$"),
        Row("describe role reader", r"^  pods +\[\] +\[\] +\[get list\]$"),
        Row("describe rolebinding readers", r"^  User +bob +$"),
        Row("describe cm settings", r"^color:\n----\nblue$"),
        Row("describe ns default", r"^Status: +Active$(?s:.*)^ +Name: +q$"),
        Row("describe pdb keep", r"^Min available: +1$"),
        Row("describe netpol deny", r"PodSelector: +app=web$"),
        Row("describe sts db", r"^Replicas: +2 desired \| 0 total$(?s:.*)Image: +postgres:16$"),
        Row("describe ds agent", r"^Desired Number of Nodes Scheduled: 0$"),
        Row("describe pods -l tier=back", r"^Name: +db-1$", unlike="web-1$"),
        Row("describe pod nosuch", r'Error from server \(NotFound\): pods "nosuch" not found', code=1),
        Row("get pvc,pv,sc", r"^persistentvolumeclaim/data +Pending +\S* *fast +<unset> "),
        Row("get pv", r"^disk-1 +5Gi +RWO +Retain +Available +fast +<unset> "),
        Row("get sc", r"^fast \(default\) +example.net/disk +Delete +Immediate +false "),
        Row("get ing", r"^ing +<none> +example.net +80 "),
        Row("get netpol", r"^deny +app=web "),
        Row("get quota", r"^q +(\S+ )?cpu: \S*/2, pods: \S*/5 "),
        Row("get sts,ds", r"^statefulset.apps/db +0/2 (?s:.*)^daemonset.apps/agent +0 +0 +0 +0 +0 +<none> "),
        Row(
            "get job,cronjob",
            r"^job.batch/j +(Running +)?0/1 (?s:.*)^cronjob.batch/cj +\*/5 \* \* \* \* +<none> +False +0 ",
        ),
        Row("get crd", r"^widgets.example.net +\d{4}-\d\d-\d\dT"),
        Row("get endpointslices", r"^web-abc +IPv4 +8080 +10.1.0.7 "),
        Row("get pdb", r"^keep +1 +N/A +0 "),
        Row("get wg -o wide", r"^NAME +SIZE +COLOR\nw1 +3 +red$"),
    ),
)
DISCOVERY = Scenario(
    "discovery and explain",
    (
        Row("apply -f -", "widgets.example.net created", stdin=manifests.WIDGETS),
        Row("api-resources --namespaced=false -o name", r"^nodes$", unlike="^pods$"),
        Row(
            "api-resources --verbs=list,get --sort-by=kind --no-headers",
            r"^configmaps +cm +v1 +true +ConfigMap$",
        ),
        Row("api-resources --categories=all -o name", r"^widgets.example.net$", unlike="^configmaps$"),
        Row(
            "api-resources --api-group=apps -o wide",
            r"^deployments +deploy +apps/v1 +true +Deployment +create,delete",
        ),
        Row("api-resources --cached=false -o name", r"^certificatesigningrequests.certificates.k8s.io$"),
        Row("api-versions", r"^apps/v1$(?s:.*)^batch/v1$(?s:.*)^example.net/v1$(?s:.*)^v1$"),
        Row("explain pod --recursive", r"^    terminationGracePeriodSeconds\s+<integer>$"),
        Row(
            "explain cronjob.spec.schedule --api-version=batch/v1",
            r"^FIELD: schedule <string>( -required-)?$",
        ),
        Row("explain deployment.spec.strategy", r"^  type\s+<string>$"),
        Row("explain widgets.spec.color", r"^FIELD: color <string>$(?s:.*)^ENUM:$"),
        Row("explain wg --recursive", r"^    size\s+<integer> -required-$"),
        Row("explain nosuch", r"the server doesn't have a resource type \"nosuch\"", code=1),
        Row("version -o json", r'"serverVersion": \{(?s:.*)"gitVersion": "v1.35'),
        Row("cluster-info", r"Kubernetes control plane.* is running at .*http://127"),
        Row("cluster-info dump -o yaml", r"kind: NodeList"),
        Row("config view --minify -o jsonpath={.clusters[0].cluster.server}", r"\Ahttp://127"),
        Row("top nodes", r"^error: Metrics API not available$", code=1),
        Row("top pods", r"^error: Metrics API not available$", code=1),
    ),
)
SCENARIOS = (GET, EVENTS, DESCRIBE, DISCOVERY)
