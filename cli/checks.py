"""What `check` looks at, each as a line: the first things that go wrong in a new installation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltawire.cli.caches import is_running
from deltawire.cli.clients import client_config, new_client
from deltawire.cli.lease_checks import lease_problem
from deltawire.cli.preflight import command_problem, key_problems
from deltawire.cli.runtime_folder import owner_only
from deltawire.cli.view.text import plural
from deltawire.common.config.plan import ALL_NAMESPACES, InformerPlan, Plan
from deltawire.common.config.schema import NatsServers
from deltawire.common.errors import DeltawireError
from deltawire.common.store import folder as state_folder
from deltawire.common.wire.network import host_of
from deltawire.handlers.asking import unknown_host

if TYPE_CHECKING:
    from deltawire.client.rest.client import RESTClient


# What a pipeline without handlers does.
NO_HANDLERS = "none: caches are kept for `deltawire get` and the like, and nothing is called"


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was looked at."""

    what: str
    text: str
    is_ok: bool = True


def config_result(is_file: bool, plan: Plan) -> Result:
    """Reached only with a config that is right."""
    where = "read" if is_file else "no file, defaults are used"
    counted = f"{plural(len(plan.informers), 'informer')}, {plural(len(plan.handlers), 'handler')}"
    return Result("config", f"{where}: {counted}")


def run(plan: Plan) -> Iterator[Result]:
    """State folder, open files, commands, clusters, informers; one after the other, as asking takes time."""
    yield _state(plan)
    yield _open_files(plan)
    yield from _network(plan)
    yield from _keys(plan)
    yield from _engine(plan)
    if not plan.config.handlers:
        yield Result("handlers", NO_HANDLERS)
    for handler in plan.config.handlers:
        if handler.run:
            watched = ", ".join(plan.handlers[handler.name].informers) or "nothing"
            yield Result(f"handler {handler.name}", f"{handler.run} can be loaded, and watches {watched}")
        if handler.command:
            problem = command_problem(handler)
            yield Result(f"handler {handler.name}", problem or " ".join(handler.command), not problem)
    for cluster in plan.clusters:
        yield from _cluster(plan, cluster)


def _state(plan: Plan) -> Result:
    what = f"state folder {plan.store_dir}"
    if not plan.store_dir.exists():
        return Result(what, "not there yet, will be made")
    try:
        with owner_only():
            state_folder.prepare(plan.store_dir, plan.shards)
    except DeltawireError as error:
        return Result(what, str(error), False)
    return Result(what, "in use by a running `deltawire up`" if is_running(plan.store_dir) else "ours, free")


def _network(plan: Plan) -> Iterator[Result]:
    """Names that cannot be looked up: a process that connects there waits, and says nothing."""
    sockets: dict[str, list[str]] = {}
    for name in plan.config.network.endpoints:
        sockets.setdefault(host_of(plan.endpoint(name)), []).append(name)
    for host, names in sockets.items():
        if unknown_host(plan.endpoint(names[0])):
            text = f"the name {host!r} of {', '.join(names)} cannot be looked up from here"
            yield Result("network.endpoints", f"{text} (write an address, or add it to DNS or /etc/hosts)", False)


def _keys(plan: Plan) -> Iterator[Result]:
    if plan.keys_dir is not None:
        found = list(key_problems(plan))
        yield Result("keys", "; ".join(found) or f"all are in {plan.keys_dir}", not found)


def _engine(plan: Plan) -> Iterator[Result]:
    named = {"engine": plan.nats, "archive": plan.config.archive}
    for what, options in named.items():
        if options is not None:
            yield _nats(what, options)


def _nats(what: str, options: NatsServers) -> Result:
    from deltawire.fifo.relay.servers import PAYLOAD_BYTES_NEEDED
    from deltawire.jetstream.probe import probe
    from deltawire.jetstream.settings import settings_of

    try:
        settings = settings_of(options, what)
        return Result(f"{what} nats {settings.shown}", probe(settings, PAYLOAD_BYTES_NEEDED))
    except DeltawireError as error:
        return Result(f"{what} nats", str(error), False)


def _open_files(plan: Plan) -> Result:
    """Of the reflector with the most streams; it raises its soft limit itself."""
    from deltawire.reflector.descriptors import limit_for, needed

    counts = [len(list(plan.streams_of_reflector(i))) for i in range(plan.config.runtime.reflectors)]
    streams = max(counts)
    need = needed(streams)
    limit = limit_for(need)
    text = f"a reflector with {plural(streams, 'stream')} may need {need}, the limit is {limit}"
    return Result("open files", text if need <= limit else f"{text}: raise it with ulimit -n", need <= limit)


def _cluster(plan: Plan, cluster: str) -> Iterator[Result]:
    from deltawire.client.discovery.discovery_client import DiscoveryClient
    from deltawire.jetstream.settings import leases_of

    what = f"cluster {cluster}"
    informers = [i for i in plan.informers.values() if i.cluster == cluster]
    try:
        found = client_config(plan, cluster)
        why = f" ({found.why})" if found.why else ""
        yield Result(f"{what} config", f"{found.source}: {found.host} with {found.identity}{why}")
        client = new_client(plan, cluster)
    except DeltawireError as error:
        yield Result(f"{what} config", str(error), False)
        return
    try:
        try:
            version = DiscoveryClient(client).server_version()
            yield Result(what, f"answers, version {version.git_version}")
        except DeltawireError as error:
            yield Result(what, str(error), False)
            return
        for informer in informers:
            yield _informer(client, informer)
        leases = leases_of(plan.nats)
        if leases is not None and informers:
            problem = lease_problem(client, plan, cluster)
            yield Result(f"{what} leases in {leases.namespace}", problem or "may be read and written", not problem)
    finally:
        client.close()


def _informer(client: "RESTClient", informer: InformerPlan) -> Result:
    """Does what the reflector will do: one list of one object, one watch that is closed at once."""
    from deltawire.client.discovery.discovery_client import DiscoveryClient

    what = f"informer {informer.name}"
    try:
        resource = DiscoveryClient(client).resolve(informer.resource)
        for stream in informer.streams:
            namespace = "" if stream == ALL_NAMESPACES else stream
            selectors = {
                "labelSelector": informer.options.label_selector,
                "fieldSelector": informer.options.field_selector,
            }
            client.list_page(resource, namespace, {"limit": 1, **selectors})
            client.open_watch(
                resource, namespace, {"timeoutSeconds": 1, **selectors}, read_timeout_s=5.0
            ).close()
    except DeltawireError as error:
        return Result(what, str(error), False)
    return Result(what, "may be listed and watched")
