"""``/readyz`` and ``/readyz/core``: a snapshot as an HTTP answer. Pure."""

from urllib.parse import parse_qs

from deltawire.cli.supervisor.status_types import Snapshot

Answer = tuple[int, str]  # HTTP code, body


def readyz(snapshot: Snapshot, query: str = "") -> Answer:
    """Everything, or with ``?cluster=NAME`` what is of one cluster; ``?verbose`` has a line for each part."""
    asked = parse_qs(query, keep_blank_values=True)
    cluster = asked.get("cluster", [""])[-1]
    known = sorted({name.partition("/")[0] for name in snapshot.informers})
    if cluster and cluster not in known:
        return 404, f"no cluster {cluster[:80]!r} (clusters: {', '.join(known)})\n"
    lines = [*_informers(snapshot, cluster), *_groups(snapshot, cluster)]
    is_ready = all(is_well for is_well, _ in lines)
    shown = [line for is_well, line in lines if "verbose" in asked or not is_well]
    if "verbose" in asked:
        shown += [f"[!] {line}" for of, line in snapshot.warnings_by_cluster if not cluster or of in ("", cluster)]
        shown += [f"[-] {fault}" for fault in snapshot.core_faults]
        shown += [f"[+] {line}" for line in _standbys(snapshot)]
        shown += [f"[-] {name}: {p.error}" for name, p in snapshot.processes.items() if p.error]
    return (200 if is_ready else 503), "\n".join([*shown, "ready" if is_ready else "not ready"]) + "\n"


def core(snapshot: Snapshot) -> Answer:
    """The processes of the pipeline and their caches, whatever the API server and the handlers do."""
    faults = snapshot.core_faults
    shown = [*faults, *_standbys(snapshot), "not ready" if faults else "ready"]
    return (503 if faults else 200), "\n".join(shown) + "\n"


def _standbys(snapshot: Snapshot) -> list[str]:
    return [f"{name} is a standby: {p.standby}" for name, p in snapshot.processes.items() if p.standby]


def _informers(snapshot: Snapshot, cluster: str) -> list[tuple[bool, str]]:
    lines = []
    for name, i in snapshot.informers.items():
        if cluster and name.partition("/")[0] != cluster:
            continue
        streams = [s for key, s in snapshot.streams.items() if key.rpartition("@")[0] == name]
        error = i.error or next((s.error for s in streams if s.error), "")
        progress = "never" if i.progress_s_ago is None else f"{i.progress_s_ago:.1f} s ago"
        proof = "never" if i.proof_s_ago is None else f"{i.proof_s_ago:.1f} s ago"
        lag = "unknown" if i.lag_ms is None else f"{i.lag_ms:.1f} ms"
        is_well = i.synced and i.fresh
        lines.append(
            (
                is_well,
                f"[{'+' if is_well else '-'}] informer {name}: synced {_yes(i.synced)}, fresh {_yes(i.fresh)}, "
                f"{f'{i.why}, ' if i.why else ''}last proof {proof}, last progress {progress}, lag {lag}, "
                f"last error {error or 'none'}",
            )
        )
    return lines


def _groups(snapshot: Snapshot, cluster: str) -> list[tuple[bool, str]]:
    lines = []
    for name, g in snapshot.groups.items():
        if cluster and not any(informer.partition("/")[0] == cluster for informer in g.informers):
            continue
        if g.off:
            lines.append((True, f"[+] handler {name}: off"))
            continue
        if cluster and g.clusters:
            # Its other clusters may be down: that is no matter of this one.
            claim = g.clusters[cluster]
            why = f", {claim.why}" if claim.why else ""
            sign = "+" if claim.ready else "-"
            lines.append(
                (claim.ready, f"[{sign}] handler {name} in {cluster}: synced {_yes(claim.synced)}{why}")
            )
            continue
        why = f", {g.why}" if g.why else ""
        lines.append(
            (
                g.ready,
                f"[{'+' if g.ready else '-'}] handler {name}: synced {_yes(g.synced)}{why}, "
                f"pending {_known(g.pending)}, dead {_known(g.dead)}",
            )
        )
    return lines


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _known(value: int | None) -> str:
    return "unknown" if value is None else str(value)
