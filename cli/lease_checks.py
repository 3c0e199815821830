"""Whether the Leases that decide who leads may be read and written here: asked as a broker asks, without a change."""

from typing import TYPE_CHECKING

from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError, StatusError

if TYPE_CHECKING:
    from deltawire.client.rest.client import RESTClient


def lease_problem(client: "RESTClient", plan: Plan, cluster: str) -> str:
    """The first thing that would keep a broker from leading an informer of the cluster; "" for none."""
    from deltawire.client.tools.leader_election.lease_lock import LEASES
    from deltawire.fifo.relay.lead_names import lease_name
    from deltawire.fifo.relay.remedies import remedy_of
    from deltawire.jetstream.settings import leases_of

    leases, engine = leases_of(plan.nats), plan.nats
    if leases is None or engine is None:
        return ""
    for informer in plan.informers.values():
        if informer.cluster != cluster:
            continue
        name = lease_name(engine.name, informer.name)
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": name, "namespace": leases.namespace},
        }
        for verb in ("GET", "POST", "PUT"):
            request = client.verb(verb).resource(LEASES).namespace(leases.namespace)
            if verb != "POST":
                request = request.name(name)
            if verb != "GET":
                request = request.param("dryRun", "All").body(body)
            try:
                request.do()
            except StatusError as error:
                # It may be there already, or not yet.
                is_absent = error.is_not_found and verb != "POST"
                if not (is_absent or error.is_conflict or error.is_already_exists):
                    remedy = remedy_of(error)
                    return f"{error.message} ({remedy})" if remedy else error.message
            except DeltawireError as error:
                return str(error)
    return ""
