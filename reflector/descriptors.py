"""File descriptors of a reflector: each watch takes one, and its opening and the cluster's id another for a moment."""

import resource

# What a process holds beside its watches: sockets to the broker and supervisor, files, connections being opened.
SPARE = 128


def needed(streams: int) -> int:
    """How many descriptors a reflector with so many streams may need."""
    return 2 * streams + SPARE


def limit_for(need: int) -> int:
    """The limit that counts for a process with our limits once it has raised them as far as it needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or (soft < need and hard == resource.RLIM_INFINITY):
        return need
    return soft if soft >= need else hard


def raise_limit(need: int) -> int:
    """Raise the soft limit of open files to the hard one where it is below ``need``; the limit that counts then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = limit_for(need)
    if soft in (limit, resource.RLIM_INFINITY):
        return limit
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):
        return soft  # some systems have a lower bound than they report
    return limit
