"""How hosts are named in leases and in words: by their state folder's name, and by their machine's."""

# Behind a holder that has a place's lease and does not work on its shards yet.
_BEGINS = "begins"


def holder_of(host: str, node: str, *, begins: bool = False) -> str:
    """What a lease says of its holder. ``begins``: it has the lease, and has not begun with what it is of."""
    return f"{host} {node} {_BEGINS}" if begins else f"{host} {node}"


def host_and_node(holder: str) -> tuple[str, str]:
    """Of a lease's holder. Workers of earlier versions say their host only."""
    host, _, rest = holder.partition(" ")
    return host, rest.partition(" ")[0]


def has_begun(holder: str) -> bool:
    """False where the holder says that it has not. Workers of earlier versions do not tell."""
    return holder.split(" ")[2:] != [_BEGINS]


def words_for(host: str, node: str) -> str:
    """``n1 (3f2a9c01)``: machines may have one name, state folders have not."""
    return f"{node} ({host[:8]})" if node else host
