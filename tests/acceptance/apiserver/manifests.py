"""Objects that the rows apply. Plain YAML, as a user would write it."""

WEB_POD = """
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web, tier: front, part-of: shop}}
spec:
  nodeName: n1
  containers: [{name: c, image: "nginx:1.27", ports: [{containerPort: 80}]}]
"""
SHOP = f"""{WEB_POD}---
apiVersion: v1
kind: Pod
metadata: {{name: db-1, labels: {{app: db, tier: back, part-of: shop}}}}
spec: {{containers: [{{name: c, image: "postgres:16"}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, labels: {{part-of: shop}}}}
spec: {{selector: {{app: web}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings, labels: {{part-of: shop}}}}
data: {{color: blue}}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "nginx:1"}]}
"""
NODES = """
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {kubernetes.io/hostname: n1}}
spec: {podCIDR: 10.1.0.0/24}
status:
  capacity: {cpu: "4", memory: 8Gi, pods: "110"}
  allocatable: {cpu: "4", memory: 8Gi, pods: "110"}
  conditions: [{type: Ready, status: "True", reason: KubeletReady, message: kubelet is ready}]
  addresses: [{type: InternalIP, address: 192.0.2.1}, {type: Hostname, address: n1}]
  nodeInfo:
    kubeletVersion: v1.32.4
    osImage: Test OS
    kernelVersion: 6.1.0
    containerRuntimeVersion: containerd://1.7
    architecture: amd64
    bootID: b
    kubeProxyVersion: v1.32.4
    machineID: m
    operatingSystem: linux
    systemUUID: s
---
apiVersion: v1
kind: Node
metadata: {name: n2}
"""
POD_ON_N1 = """
apiVersion: v1
kind: Pod
metadata: {name: worker}
spec:
  nodeName: n1
  containers:
  - name: c
    image: "busybox:1"
    resources: {requests: {cpu: 250m, memory: 128Mi}, limits: {cpu: 500m}}
"""
WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.net}
spec:
  group: example.net
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wg], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Color, type: string, jsonPath: .spec.color, priority: 1}
    selectableFields: [{jsonPath: .spec.color}]
    schema:
      openAPIV3Schema:
        type: object
        description: A widget turns.
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, maximum: 9, description: How large it is.}
              color: {type: string, enum: [red, blue], default: red}
              replicas: {type: integer}
              parts:
                type: array
                items: {type: object, required: [name], properties: {name: {type: string}, count: {type: integer}}}
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""
WIDGET = """
apiVersion: example.net/v1
kind: Widget
metadata: {name: w1}
spec: {size: 3, parts: [{name: a, count: 1}, {name: b, count: 2}]}
"""
STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: "postgres:16"}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
DAEMON_SET = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: c, image: "agent:1"}]}
"""
STORAGE = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: example.net/disk
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk-1}
spec:
  capacity: {storage: 5Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: fast
  hostPath: {path: /data}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
"""
EVENT = """
apiVersion: v1
kind: Event
metadata: {name: web-1.1}
involvedObject: {kind: Pod, apiVersion: v1, namespace: default, name: web-1}
type: Warning
reason: BackOff
message: Back-off restarting failed container
count: 3
firstTimestamp: "2026-01-01T00:00:00Z"
lastTimestamp: "2026-01-01T00:05:00Z"
source: {component: kubelet, host: n1}
"""
ENDPOINTS = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-abc, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.7], conditions: {ready: true}}]
ports: [{name: http, port: 8080, protocol: TCP}]
"""
# NAME and REQUEST, a PKCS#10 text in base64, are filled in by the rows.
CERTIFICATE_REQUEST = """
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: NAME}
spec:
  request: REQUEST
  signerName: kubernetes.io/kube-apiserver-client
  expirationSeconds: 86400
  usages: [client auth]
"""
ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: bob}]
"""


def config_map(name: str, label: str = "", **data: str) -> str:
    """A ConfigMap, with ``app: <label>`` where one is given."""
    labels = f", labels: {{app: {label}}}" if label else ""
    values = ", ".join(f'{key}: "{value}"' for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{labels}}}\ndata: {{{values}}}\n"


FAILING_JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: bad}
spec:
  backoffLimit: 1
  template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox, command: ["false"]}]}}
"""
SETS = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: "db:1"}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: c, image: "agent:1"}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db}
spec: {minAvailable: 1, selector: {matchLabels: {app: db}}}
"""
