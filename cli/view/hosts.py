"""Places and shards over several hosts, as text."""

from deltawire.cli.hosts.claims import Claims
from deltawire.cli.hosts.overview import Overview
from deltawire.cli.hosts.places import Place
from deltawire.cli.output.table import align
from deltawire.cli.view.text import known, milliseconds
from deltawire.cli.view.units import format_age


def overview_lines(found: Overview) -> list[str]:
    """`deltawire shards list`."""
    lines = shard_lines(found)
    if found.hosts is not None:
        lines += ["", *claim_lines(found.hosts), "", *verdict_lines(found.hosts)]
    return lines


def shard_lines(found: Overview) -> list[str]:
    """A row for each shard of each informer."""
    rows = [["INFORMER", "SHARD", "PLACE", "HOST", "LEASE", "FENCE", "POSITION", "STANDBY"]]
    for row in found.shards:
        place = found.places[row.place]
        numbers = ["-" if number is None else str(number) for number in (row.fence, row.position)]
        standby = "yes" if place.standbys else "no"
        rows.append([row.informer, str(row.shard), row.place, place.words, _lease(place, found), *numbers, standby])
    return align(rows)


def place_lines(found: Overview) -> list[str]:
    """A row for each worker's place over all hosts."""
    rows = [["PLACE", "HOST", "LEASE", "STANDBY"]]
    rows += [
        [name, place.words, _lease(place, found), ", ".join(place.standbys) or "none"]
        for name, place in found.places.items()
    ]
    return align(rows)


def claim_lines(claims: Claims) -> list[str]:
    """A row for each informer and place."""
    rows = [["INFORMER", "PLACE", "HOST", "SYNCED", "FRESH", "QUEUED", "LAG", "PENDING", "BEHIND"]]
    for informer, claim in claims.informers.items():
        for name, part in claim.places.items():
            host = Place(host=part.host, node=part.node).words
            is_known = part.lag_ms is not None
            said = ["yes" if value else "no" if is_known else "?" for value in (part.synced, part.fresh)]
            behind = "?" if part.behind_s is None else format_age(part.behind_s)
            figures = [known(part.queued), milliseconds(part.lag_ms), known(part.pending), behind]
            rows.append([informer, name, host, *said, *figures])
    return align(rows)


def verdict_lines(claims: Claims) -> list[str]:
    """One line, or one for each reason."""
    ago = "" if claims.behind_s is None else f", as of {format_age(claims.behind_s)} ago"
    return [f"NOT READY OVER ALL HOSTS {why}" for why in claims.unready] or [f"ready over all hosts{ago}"]


def _lease(place: Place, found: Overview) -> str:
    if place.lease_s is None:
        return "-"
    return f"{place.lease_s:.1f}s ago{'' if place.heard or not found.can_move else ', silent'}"
