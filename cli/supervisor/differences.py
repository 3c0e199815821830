"""What differs between the config that runs and the one that is wanted. Pure."""

from dataclasses import dataclass, field

import msgspec

from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import HandlerProcess
from deltawire.fifo.latest_only import latest_only


@dataclass(frozen=True, slots=True)
class Differences:
    """Names of handlers and informers. ``fixed``: keys whose change needs a new start of the pipeline.

    ``is_flow``: the processes between the API server and the handlers need the new config.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    scaled: list[str] = field(default_factory=list)
    informers: list[str] = field(default_factory=list)
    is_flow: bool = False
    fixed: list[str] = field(default_factory=list)


def differences(now: Plan, wanted: Plan) -> Differences:
    """Both are effective configs of one run."""
    before, after = now.handlers, wanted.handlers
    both = [name for name in after if name in before]
    changed = [
        name
        for name in both
        if _but_replicas(before[name].options) != _but_replicas(after[name].options)
        # Clusters that its patterns name came or went.
        or before[name].subscriptions.keys() != after[name].subscriptions.keys()
    ]
    informers = [
        name
        for name in dict.fromkeys([*now.informers, *wanted.informers])
        if name not in now.informers
        or name not in wanted.informers
        or now.informers[name].options != wanted.informers[name].options
    ]
    return Differences(
        added=[name for name in after if name not in before],
        removed=[name for name in before if name not in after],
        changed=changed,
        scaled=[n for n in both if before[n].options.replicas != after[n].options.replicas],
        informers=informers,
        is_flow=bool(informers) or latest_only(now) != latest_only(wanted),
        fixed=_fixed(now, wanted),
    )


def _but_replicas(options: HandlerProcess) -> HandlerProcess:
    return msgspec.structs.replace(options, replicas=1)


def _fixed(now: Plan, wanted: Plan) -> list[str]:
    found = [
        f"{part}.{key}"
        for part in ("store", "runtime", "network", "metrics")
        for key in getattr(now.config, part).__struct_fields__
        if getattr(getattr(now.config, part), key) != getattr(getattr(wanted.config, part), key)
    ]
    same = all(wanted.clusters.get(name, cluster) == cluster for name, cluster in now.clusters.items())
    # One that comes or goes is its informers' matter; the first one is what names without a cluster mean.
    is_first = now.first_cluster == wanted.first_cluster
    return [key for key in found if key != "runtime.revision"] + ([] if same and is_first else ["clusters"])
