"""A kill as a line. By itself: commands print it, and need nothing else of the supervisor's."""

from deltawire.cli.supervisor.status_types import KillStatus


def describe(name: str, status: KillStatus) -> str:
    """``reflector-0 killed: back after 0.4 s · restarts 1 · lost 0``."""
    back = "" if status.took_s is None else f"back after {status.took_s:.1f} s · "
    lost = "unknown" if status.lost is None else str(status.lost)
    problem = f" ({status.error})" if status.error else ""
    return f"{name} killed: {back}restarts {status.restarts} · lost {lost}{problem}"
