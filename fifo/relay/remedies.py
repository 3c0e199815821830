"""What to do about an API server that refuses a Lease. Pure."""

from deltawire.common.errors import StatusError


def remedy_of(error: StatusError) -> str:
    """ "" where nothing is known to help."""
    if error.code == 403:
        return (
            "get, create and update on leases.coordination.k8s.io are needed there: "
            "deltawire rbac -c FILE prints the rules"
        )
    if error.is_not_found:
        return "make the namespace, or name another one in engine.leases.namespace"
    return error.hint
