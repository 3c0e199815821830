"""Which informers nobody wants every change of. By itself: the supervisor asks it, and loads no broker."""

from deltawire.common.config.plan import Plan


def latest_only(plan: Plan) -> frozenset[str]:
    """Informers that have handlers, all of which take the latest state only."""
    deliveries: dict[str, set[str | None]] = {}
    for handler in plan.handlers.values():
        for informer in handler.informers:
            deliveries.setdefault(informer, set()).add(handler.options.delivery)
    return frozenset(name for name, found in deliveries.items() if found == {"latest"})
