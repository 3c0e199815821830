"""What a Lease says about who leads."""

import datetime
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """Instants are wall time in seconds, None where the Lease does not say; they are for people.

    An empty ``holder`` means that there is no leader. ``transitions`` counts the changes of holder.
    """

    holder: str = ""
    lease_duration_s: int = 0
    acquired_at_s: float | None = None
    renewed_at_s: float | None = None
    transitions: int = 0


def from_spec(spec: dict[str, Any]) -> LeaseRecord:
    """The record in a Lease's ``spec``. What is missing or unreadable counts as not said."""
    return LeaseRecord(
        holder=str(spec.get("holderIdentity") or ""),
        lease_duration_s=_integer(spec.get("leaseDurationSeconds")),
        acquired_at_s=_instant(spec.get("acquireTime")),
        renewed_at_s=_instant(spec.get("renewTime")),
        transitions=_integer(spec.get("leaseTransitions")),
    )


def to_spec(record: LeaseRecord) -> dict[str, Any]:
    return {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.lease_duration_s,
        "acquireTime": _micro_time(record.acquired_at_s),
        "renewTime": _micro_time(record.renewed_at_s),
        "leaseTransitions": record.transitions,
    }


def _integer(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _instant(value: Any) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.datetime.fromisoformat(value)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()


def _micro_time(at_s: float | None) -> str | None:
    if at_s is None:
        return None
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
