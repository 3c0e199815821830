"""kubectl's ways to write: apply, label, patch, set, every generator, delete, and what is refused."""

from tests.acceptance.apiserver import manifests
from tests.acceptance.apiserver.manifests import config_map
from tests.acceptance.apiserver.rows import Row, Scenario

KUSTOMIZATION = """
resources: [a.yaml]
namePrefix: dev-
labels: [{pairs: {env: dev}}]
configMapGenerator: [{name: made, literals: [x=1], options: {disableNameSuffixHash: true}}]
"""
GENERATED_NAME = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: gen-}\n"

SEVERAL = Scenario(
    "label, annotate and patch several objects",
    (
        Row("apply -f -", "pod/web-1 created", stdin=manifests.SHOP),
        Row("label pods -l part-of=shop stage=prod", r"^pod/db-1 labeled\npod/web-1 labeled$"),
        Row(
            "label pods --all stage=dev",
            r"'stage' already has a value \(prod\), and --overwrite is false",
            code=1,
        ),
        Row("label pods --all stage=dev --overwrite", r"^pod/db-1 labeled\npod/web-1 labeled$"),
        Row("label pods --all stage=dev --overwrite", r"^pod/db-1 not labeled\npod/web-1 not labeled$"),
        Row("label pods --all stage-", r"^pod/db-1 unlabeled\npod/web-1 unlabeled$"),
        Row("label pod web-1 --list", r"^app=web$"),
        Row("label -f - checked=yes", r"^configmap/settings labeled$", stdin=manifests.SHOP),
        Row("label pod web-1 a=b --dry-run=server", r"^pod/web-1 labeled \(server dry run\)$"),
        Row("get pod web-1 -o jsonpath={.metadata.labels.a}", r"\A\Z"),
        Row("annotate pods web-1 db-1 note='on call'", r"^pod/web-1 annotated\npod/db-1 annotated$"),
        Row("annotate pod web-1 --list", r"^note=on call$"),
        Row("annotate pod web-1 note-", r"^pod/web-1 annotated$"),
        Row(
            """patch pod/web-1 pod/db-1 -p '{"metadata":{"labels":{"x":"y"}}}'""",
            r"^pod/web-1 patched\npod/db-1 patched$",
        ),
        Row(
            """patch pod web-1 -p '{"metadata":{"labels":{"x":"y"}}}'""", r"^pod/web-1 patched \(no change\)$"
        ),
        Row("""patch pod web-1 -p '{"metadata":{"labels":{"x":null}}}'""", r"^pod/web-1 patched$"),
        Row(
            """patch pod web-1 --type=merge -p '{"metadata":{"labels":{"a":"b c"}}}'""",
            r'^The Pod "web-1" is invalid: metadata.labels: Invalid value: "b c": ',
            code=1,
        ),
        Row("patch pod web-1 --type=merge -p '{'", r"^Error from server \(BadRequest\): ", code=1),
        Row(
            """patch cm settings --type=json -p '[{"op":"remove","path":"/data/nope"}]'""",
            r"^The request is invalid: ",
            code=1,
        ),
        Row("""patch cm settings --type=json -p '{"a":1}'""", r"^Error from server \(BadRequest\): ", code=1),
        Row(
            """patch cm settings --type=merge -p '{"data":{"n":5}}'""",
            r"is invalid: patch: Invalid value: .*cannot unmarshal number into Go struct field ConfigMap.data of",
            code=1,
        ),
        Row(
            """patch cm settings --type=merge -p '{"metadata":{"name":"other"}}'""",
            r"\(BadRequest\): the name of the object \(other\) does not match the name on the URL \(settings\)",
            code=1,
        ),
        Row(
            """patch pod web-1 --subresource=status --type=merge -p '{"status":{"phase":"Running"}}'""",
            r"^pod/web-1 patched$",
        ),
        Row("get pods --field-selector=status.phase=Running -o name", r"\Apod/web-1\n\Z"),
        Row("patch pod nosuch -p '{}'", r'Error from server \(NotFound\): pods "nosuch" not found', code=1),
        Row(
            """patch -f - --type=merge -p '{"data":{"size":"1"}}'""",
            r"^configmap/settings patched$",
            stdin=config_map("settings"),
        ),
        Row("get cm settings -o jsonpath={.data}", r'\A\{"color":"blue","size":"1"\}\Z'),
        Row("label ns default a=b", r"^namespace/default labeled$"),
        Row(
            "annotate pod web-1 a=b --resource-version=1",
            r"Conflict\): Operation cannot be fulfilled on pods \"web-1\": the object has been modified",
            code=1,
        ),
    ),
)
CREATE = Scenario(
    "create with every generator",
    (
        Row("create service nodeport np --tcp=80:8080 --node-port=30080", "^service/np created$"),
        Row("create service loadbalancer lb --tcp=443", "^service/lb created$"),
        Row("create service externalname en --external-name=db.example.net", "^service/en created$"),
        Row(
            "get svc np lb en --no-headers",
            r"^np +NodePort +\S+ +<none> +80:30080/TCP (?s:.*)^lb +LoadB(?s:.*)^en +Ext\S+ +<none> +db.example.net ",
        ),
        Row("create service clusterip none --clusterip=None", "^service/none created$"),
        Row(
            "create secret docker-registry reg --docker-server=r.example.net --docker-username=u --docker-password=p",
            "^secret/reg created$",
        ),
        Row(
            "get secrets --field-selector=type=kubernetes.io/dockerconfigjson",
            r"^reg +kubernetes.io/dockerconfigjson +1 ",
        ),
        Row(
            "create secret generic files --from-file=one.txt --from-literal=b=2 --type=example.net/t",
            "^secret/files created$",
        ),
        Row(
            "get secret files -o jsonpath={.type}:{.data}",
            r'\Aexample.net/t:\{"b":"Mg==","one.txt":"MQ=="\}\Z',
        ),
        Row("create configmap cm --from-file=one.txt --from-env-file=vars.env", "cannot be combined", code=1),
        Row("create configmap env --from-env-file=vars.env", "^configmap/env created$"),
        Row("get cm env -o jsonpath={.data}", r'\A\{"A":"1","B":"2"\}\Z'),
        Row("create cronjob cj --image=busybox --schedule='0 0 * * *' -- date", "^cronjob.batch/cj created$"),
        Row("create job manual --from=cronjob/cj", "^job.batch/manual created$"),
        Row(
            "get job manual -o jsonpath={.metadata.annotations}{.metadata.ownerReferences[0].name}",
            r"instantiate\":\"manual\"\}cj\Z",
        ),
        Row(
            "create deployment multi --image=a --image=b --replicas=2 --port=80",
            "^deployment.apps/multi created$",
        ),
        Row("get deploy multi -o jsonpath={..containers[*].image}/{.spec.replicas}", r"\Aa b/2\Z"),
        Row(
            "create role r --verb=get --resource=deployments.apps/scale,pods/log --resource-name=x",
            "^role.rbac.authorization.k8s.io/r created$",
        ),
        Row(
            "get role r -o jsonpath={.rules[*].resources}",
            r"pods/log.*deployments/scale|deployments/scale.*pods/log",
        ),
        Row(
            "create clusterrole agg --aggregation-rule=rbac=x",
            "^clusterrole.rbac.authorization.k8s.io/agg created$",
        ),
        Row(
            "create rolebinding rb --clusterrole=view --serviceaccount=default:robot",
            "^rolebinding.rbac.authorization.k8s.io/rb created$",
        ),
        Row(
            "set subject rolebinding rb --user=alice",
            "rolebinding.rbac.authorization.k8s.io/rb subjects updated",
        ),
        Row("get rolebinding rb -o wide", r"^rb +ClusterRole/view +\S+ +alice +default/robot$"),
        Row(
            "create ingress ing --class=nginx --rule=example.net/a*=web:80,tls=cert",
            "^ingress.networking.k8s.io/ing created$",
        ),
        Row("get ing ing", r"^ing +nginx +example.net +80, 443 "),
        Row("create quota q --hard=pods=1 --scopes=BestEffort", "^resourcequota/q created$"),
        Row("create pdb p --selector=app=x --max-unavailable=1", "^poddisruptionbudget.policy/p created$"),
        Row(
            "create priorityclass high --value=1000 --preemption-policy=Never",
            "^priorityclass.scheduling.k8s.io/high created$",
        ),
        Row("get priorityclass high", r"^high +1000 +false +\S+( +Never)?$"),
        Row("create token default --audience=a", r"\A[\w-]+\.[\w-]+\.[\w-]+\n?\Z"),
        Row(
            "create token nosuch",
            r'serviceaccounts "nosuch" not found',
            code=1,
        ),
        Row(
            "run r1 --image=nginx --port=80 --expose --labels=app=r1 --env=A=1",
            "^service/r1 created\npod/r1 created$",
        ),
        Row("run r2 --image=nginx --dry-run=client -o yaml", "^kind: Pod$"),
        Row("run r3 --image=nginx --restart=Never --command -- sleep 1", "^pod/r3 created$"),
        Row(
            "expose pod r1 --name=outside --port=80 --target-port=8080 --type=NodePort",
            "^service/outside exposed$",
        ),
        Row(
            "autoscale deployment multi --min=2 --max=5 --cpu-percent=70",
            "^horizontalpodautoscaler.autoscaling/multi autoscaled$",
        ),
        Row("get hpa", r"^multi +Deployment/multi +cpu: <unknown>/70% +2 +5 +0 "),
        Row("describe hpa multi", r"^Min replicas: +2\nMax replicas: +5$"),
        Row("create -f -", r"^configmap/gen-[a-z0-9]{5} created$", stdin=GENERATED_NAME),
        Row(
            "create deployment Bad_Name --image=nginx",
            r'Deployment.apps "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123',
            code=1,
        ),
        Row(
            "create namespace a.b",
            r'^The Namespace "a.b" is invalid: (?s:.*)metadata.name: Invalid value: "a.b"',
            code=1,
        ),
        Row(
            "create service clusterip 9a --tcp=80",
            r'Service "9a" is invalid: metadata.name: Invalid value: "9a": a DNS-1035 label',
            code=1,
        ),
        Row(
            "create configmap cm2 -n nosuch",
            r'error: failed to create configmap: namespaces "nosuch" not found',
            code=1,
        ),
        Row(
            "create configmap env",
            r'error: failed to create configmap: configmaps "env" already exists',
            code=1,
        ),
        Row(
            "create --raw /api/v1/namespaces/default/configmaps -f -",
            r'"name":"raw"',
            stdin='{"metadata":{"name":"raw"}}',
        ),
        Row("delete --raw /api/v1/namespaces/default/configmaps/raw", r'"status":"Success"'),
    ),
    files={"one.txt": "1", "vars.env": "A=1\nB=2\n"},
)
APPLY = Scenario(
    "apply from folders, kustomize, prune, diff and replace",
    (
        Row("apply -f all", r"^configmap/a created\nconfigmap/b created$", unlike="/c "),
        Row("apply -R -f all", r"^configmap/a unchanged\nconfigmap/b unchanged\nconfigmap/c created$"),
        Row("apply -k kust", r"^configmap/dev-a created\nconfigmap/dev-made created$"),
        Row("get cm -l env=dev -o name", r"\Aconfigmap/dev-a\nconfigmap/dev-made\n\Z"),
        Row("diff -k kust", r"\A\Z"),
        Row("delete -k kust", r'configmap "dev-a" deleted'),
        Row(
            "apply -f all/a.yaml --prune -l app=shop --prune-allowlist=core/v1/ConfigMap",
            r"^configmap/a unchanged\nconfigmap/b pruned\nconfigmap/c pruned$",
        ),
        Row("get cm -o name", r"\Aconfigmap/a\n\Z"),
        Row("apply view-last-applied cm/a", r"^  x: \"1\"$"),
        Row("apply set-last-applied -f changed.yaml", r"^configmap/a configured$"),
        Row("diff -f changed.yaml", r"^\+  x: \"2\"$", code=1),
        Row("diff --server-side --force-conflicts -f changed.yaml", r"^\+  x: \"2\"$", code=1),
        Row(
            "apply --server-side --force-conflicts --dry-run=server -f changed.yaml",
            r"^configmap/a serverside-applied \(server dry run\)$",
        ),
        Row("apply --dry-run=client -f changed.yaml", r"^configmap/a configured \(dry run\)$"),
        Row("get cm a -o jsonpath={.data.x}", r"\A1\Z"),
        Row(
            "apply --force-conflicts -f changed.yaml",
            r"--force-conflicts only works with --server-side",
            code=1,
        ),
        Row("replace -f changed.yaml", r"^configmap/a replaced$"),
        Row(
            "replace -f -",
            r'\(NotFound\): error when replacing "STDIN": configmaps "none" not found',
            code=1,
            stdin=config_map("none"),
        ),
        Row(
            "replace --force --grace-period=0 -f changed.yaml",
            r'^configmap "a" (force )?deleted(?s:.*)^configmap/a replaced$',
        ),
        Row("create -f -", r"^configmap/plain created$", stdin=config_map("plain", x="1")),
        Row(
            "apply -f -",
            r"^configmap/plain configured\nWarning: resource configmaps/plain is missing the \S+/last-applied-conf",
            stdin=config_map("plain", x="2"),
        ),
        Row("create -f - --save-config", r"^configmap/saved created$", stdin=config_map("saved", x="1")),
        Row("apply -f -", r"^configmap/saved configured$", stdin=config_map("saved", w="before")),
        Row("get cm saved -o jsonpath={.data}", r'\A\{"w":"before"\}\Z'),
        Row("edit cm saved", r"^configmap/saved edited$", env=(("KUBE_EDITOR", "sed -i s/before/after/"),)),
        Row("edit cm saved", r"^Edit cancelled, no changes made\.$", env=(("KUBE_EDITOR", "true"),)),
        Row(
            "apply -f -",
            r"^configmap/ok created\n(?s:.*)NoSuchKind",
            code=1,
            stdin=config_map("ok") + "---\napiVersion: v1\nkind: NoSuchKind\nmetadata: {name: x}\n",
        ),
        Row(
            "apply -f -", r"error: error parsing STDIN: error converting YAML to JSON", code=1, stdin="a: [\n"
        ),
        Row(
            "apply -f -",
            r"error validating|Object 'Kind' is missing",
            code=1,
            stdin="apiVersion: v1\nmetadata: {name: x}\n",
        ),
        Row("apply -f -", r"error: no objects passed to apply", code=1),
        Row(
            "apply -f -",
            r'strict decoding error: unknown field "spec.replcas"',
            code=1,
            stdin=manifests.DEPLOYMENT.replace("replicas:", "replcas:"),
        ),
        Row(
            "apply -f -",
            r'unknown field "spec.template.spec.containers\[0\].img"',
            code=1,
            stdin=manifests.DEPLOYMENT.replace("image:", "img:"),
        ),
        Row(
            "apply --validate=warn -f -",
            r'^deployment.apps/web created$(?s:.*)^Warning: unknown field "spec.replcas"$',
            stdin=manifests.DEPLOYMENT.replace("replicas:", "replcas:"),
        ),
        Row("get deploy web -o jsonpath={.spec.replcas}{.spec.replicas}", r"\A1\Z"),
        Row(
            "create -f -",
            r'BadRequest(?s:.*)Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal '
            "string into Go struct field DeploymentSpec.spec.replicas of type int32",
            code=1,
            stdin=manifests.DEPLOYMENT.replace("replicas: 1", "replicas: many"),
        ),
    ),
    files={
        "all/a.yaml": config_map("a", "shop", x="1"),
        "all/b.yaml": config_map("b", "shop", x="1"),
        "all/deep/c.yaml": config_map("c", "shop"),
        "kust/a.yaml": config_map("a"),
        "kust/kustomization.yaml": KUSTOMIZATION,
        "changed.yaml": config_map("a", "shop", x="2"),
    },
)
DELETE = Scenario(
    "delete by selector, kind and file",
    (
        Row("apply -f -", "configmap/settings created", stdin=manifests.SHOP),
        Row("apply -f all", r"^configmap/b created$"),
        Row("delete cm --field-selector=metadata.name=b", r'^configmap "b" deleted$'),
        Row("delete cm -l app=none", r"^No resources found$"),
        Row(
            "delete pods,svc -l part-of=shop",
            r'^pod "db-1" deleted\npod "web-1" deleted\nservice "web" deleted$',
        ),
        Row("delete pod nosuch", r'^Error from server \(NotFound\): pods "nosuch" not found$', code=1),
        Row("delete pod nosuch --ignore-not-found", r"\A\Z"),
        Row("delete -f all", r'^configmap "a" deleted$(?s:.*)"b" not found', code=1),
        Row("delete -f all --ignore-not-found", r"\A\Z"),
        Row("apply -f -", "pod/web-1 created", stdin=manifests.SHOP),
        Row("delete pod web-1 --now", r'^pod "web-1" deleted$'),
        Row(
            "delete pod db-1 --force --grace-period=0",
            r'^pod "db-1" force deleted$(?s:.*)Immediate deletion',
        ),
        Row("delete cm settings --dry-run=server", r'^configmap "settings" deleted \(server dry run\)$'),
        Row("delete cm/settings svc/web", r'^configmap "settings" deleted\nservice "web" deleted$'),
        Row("delete cm", r"error: resource\(s\) were provided, but no name was specified", code=1),
        Row("delete cm --all -A", r"No resources found"),
        Row("delete nosuch x", r"the server doesn't have a resource type \"nosuch\"", code=1),
        Row("delete ns nosuch", r'namespaces "nosuch" not found', code=1),
        Row("delete cm x -o name --cascade=sideways", r"invalid cascade value \(sideways\)", code=1),
    ),
    files={"all/a.yaml": config_map("a"), "all/b.yaml": config_map("b")},
)
SCENARIOS = (SEVERAL, CREATE, APPLY, DELETE)
