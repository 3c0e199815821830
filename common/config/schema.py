"""The config's shape. Keys are snake_case and equal the Python keyword arguments; unknown keys are refused.

``docs/config.schema.json`` is generated from these structs, and a test compares the two.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from deltawire.common.meta.resources import ResourceType

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Count = Annotated[int, Meta(ge=1, le=64)]
# "60s", "5m", "1h30m" or a number of seconds; checked by `load`, which gives the field's path.
Duration = str | float | int
# "64MiB", "1Gi" or a number of bytes.
Size = str | int


class Cluster(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an API server is. Nothing set: $KUBECONFIG, in-cluster, ~/.kube/config, in this order."""

    kubeconfig: str | None = None
    context: str | None = None


class Store(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state folder. ``shards`` is fixed when the folder is made. ``sync``: each commit waits for the disk."""

    dir: str = ".deltawire"
    shards: Count = 4
    forget_after: Duration = "7d"
    sync: bool = False


class Runtime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processes and how they talk. ``dir`` holds the sockets; default: a private folder for this state.

    ``health``: a file that a lone role keeps fresh while it is well (`common.health`); ``deltawire up`` keeps none.
    ``run``: the id of one ``deltawire up``, "" without a supervisor; roles of different runs do not talk.
    ``revision``: counts the changes of the config while it runs.
    ``hang_after``: a role whose main loop stands still for so long is killed and replaced; ``off``: never.
    """

    reflectors: Count = 1
    workers: Count = 2
    dir: str | None = None
    heartbeat: Duration = 2
    control: bool = False
    health: str | None = None
    drain_deadline: Duration = 20
    hang_after: Duration = 30
    run: str = ""
    revision: Annotated[int, Meta(ge=0)] = 0


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sockets on TCP instead of in ``runtime.dir``, for roles and handlers on other hosts.

    ``endpoints``: ``fifo-in``, ``fifo-out``, ``worker-<i>`` or ``control`` → HOST:PORT, as others reach it.
    ``listen``: the address to bind, where that is another one (0.0.0.0). ``keys``: the folder of keys; needed unless
    all is loopback.
    """

    endpoints: dict[str, str] = {}
    listen: str = ""
    keys: str | None = None


class KubernetesLeases(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="kubernetes"
):
    """A Lease for each informer, in ``namespace`` of the informer's own cluster. ``duration``: a leader that was not
    heard for so long loses it."""

    namespace: Name = "deltawire"
    duration: Duration = 15


class NatsServers(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="nats"
):
    """JetStream as the place of an archive. ``name``: the first word of all that is kept there. ``max_bytes``: of one
    stream. ``credentials``, ``ca``, ``cert``, ``key``: files."""

    servers: Annotated[list[Annotated[str, Meta(pattern="^(nats|tls)://.")]], Meta(min_length=1)] = (
        msgspec.field(default_factory=lambda: ["nats://127.0.0.1:4222"])
    )
    name: Name = "deltawire"
    replicas: Annotated[int, Meta(ge=1, le=5)] = 3
    max_bytes: Size = "1GiB"
    credentials: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __repr__(self) -> str:
        """Without user, password and token of the URLs."""
        shown = [server.rpartition("@")[2] for server in self.servers]
        return f"{type(self).__name__}(name={self.name!r}, servers={shown!r})"


class NatsEngine(NatsServers, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="nats"):
    """JetStream as the queue. ``leases``: by what it is decided which broker leads an informer."""

    leases: Literal["nats", "kubernetes"] | KubernetesLeases = "nats"


class Metrics(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where /metrics, /livez and /readyz answer: ``127.0.0.1:9095``, ``unix:PATH`` or ``off``.

    ``public``: other hosts may reach them.
    """

    listen: str = "off"
    public: bool = False


class Informer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cache: a resource of a cluster, in some namespaces or all."""

    resource: str
    cluster: Name | None = None
    namespaces: list[str] = []
    label_selector: str = ""
    field_selector: str = ""
    indexes: dict[str, str] = {}
    drop: list[str] = []
    metadata_only: bool = False
    secrets: Literal["keep", "hash", "drop"] | None = None
    max_bytes: Size = "32GiB"


class Subscription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a handler watches, as its decorators say; with ``command`` a list of names is enough.

    From ``namespace`` on: which of its events an executable gets (docs/handlers.md, Filters). ``leaving``: as what an
    object is told that is stored, but not wanted any more.
    """

    resource: str
    cluster: Name | None = None
    owner: str | None = None
    verbs: list[Literal["add", "update", "delete", "gap", "reconcile"]] = msgspec.field(
        default_factory=lambda: ["add", "update", "delete"]
    )
    indexes: dict[str, str] = {}
    namespace: str | list[str] = []
    name: str | list[str] = []
    labels: str = ""
    annotations: str = ""
    fields: str = ""
    changed: str | list[str] = []
    ignore_own_writes: bool | str | list[str] = False
    leaving: Literal["delete", "update"] = "delete"


class Scaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From ``min`` to ``max`` replicas of a handler, as many as are needed.

    ``backlog``: changes that wait for one replica. ``cpu``: cores that one takes. Above it another one comes; at half
    of it one leaves, when it was so for ``cool_down``.
    """

    min: Count = 1
    max: Count
    backlog: Annotated[int, Meta(ge=1)] | None = None
    cpu: Annotated[float, Meta(gt=0, le=64)] | None = None
    cool_down: Duration = 60


class HandlerProcess(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plug-in: a Python file (``run``) or an executable (``command`` with ``on``).

    ``clusters``: names, or patterns such as ``prod-*``, of the clusters in which it watches what names none.
    """

    name: Name
    run: str | None = None
    command: list[str] = []
    on: list[str | Subscription] = []
    clusters: list[str] = []
    replicas: Annotated[int, Meta(ge=0, le=64)] | Scaling = 1
    workers: Annotated[int, Meta(ge=1, le=256)] | None = None
    delivery: Literal["latest", "every"] | None = None
    resync: Duration | None = None
    window: Annotated[int, Meta(ge=1, le=10_000)] = 256
    window_bytes: Size = "16MiB"
    deadline: Duration | None = None
    attempts_max: Annotated[int, Meta(ge=1, le=1000)] | None = None
    rate_per_s: Annotated[float, Meta(gt=0)] | None = None
    burst: Annotated[int, Meta(ge=1)] | None = None
    writes: list[str] = []
    env: dict[str, str] = {}


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole config file. ``kubeconfigs``: a folder whose files are further clusters. ``archive``: where workers keep
    what lets their shards move to other hosts."""

    version: Literal[1]
    clusters: dict[Name, Cluster] = {}
    kubeconfigs: str | None = None
    store: Store = Store()
    runtime: Runtime = Runtime()
    network: Network = Network()
    engine: Literal["memory", "nats"] | NatsEngine = "memory"
    archive: NatsServers | None = None
    metrics: Metrics = Metrics()
    informers: list[Informer] = []
    handlers: list[HandlerProcess] = []
    resources: list[ResourceType] = []
