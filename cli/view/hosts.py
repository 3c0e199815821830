"""Places and shards over several hosts, as text."""

from deltawire.cli.hosts.overview import Overview, Place
from deltawire.cli.output.table import align


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


def _lease(place: Place, found: Overview) -> str:
    if place.lease_s is None:
        return "-"
    return f"{place.lease_s:.1f}s ago{'' if place.heard or not found.can_move else ', silent'}"
